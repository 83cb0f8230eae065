"""Values to bytes."""

from abc import ABC, abstractmethod
from typing import Any


class TaskiqSerializer(ABC):
    """Turns plain values into bytes and back.

    Every serializer keeps None, bool, int, float, str, list and dict with string keys.
    """

    @abstractmethod
    def dumpb(self, value: Any) -> bytes:
        """Bytes of `value`.

        :raises TypeError: or ValueError, for a value that it cannot express.
        """

    @abstractmethod
    def loadb(self, value: bytes) -> Any:
        """The value of `value`.

        :raises ValueError: or a subclass, for bytes that are not of this format.
        """
