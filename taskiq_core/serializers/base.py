"""What the serializers share: errors of one kind, and optional packages."""

import importlib
from abc import abstractmethod
from typing import Any

from taskiq_core.abc.serializer import TaskiqSerializer


class LibrarySerializer(TaskiqSerializer):
    """A serializer made of a library's two functions, whatever errors these raise."""

    def dumpb(self, value: Any) -> bytes:
        """Bytes of `value`.

        :raises TypeError: or ValueError, for a value that the format cannot express.
        """
        try:
            return self._dump(value)
        except (TypeError, ValueError):
            raise
        except Exception as error:
            msg = f"{type(self).__name__} cannot express the value: {type(error).__name__}: {error}"
            raise ValueError(msg) from error

    def loadb(self, value: bytes) -> Any:
        """The value of `value`.

        :raises ValueError: for bytes that are not of this format.
        """
        try:
            return self._load(value)
        except Exception as error:
            msg = f"{type(self).__name__} cannot read the bytes: {type(error).__name__}: {error}"
            raise ValueError(msg) from error

    @abstractmethod
    def _dump(self, value: Any) -> bytes: ...

    @abstractmethod
    def _load(self, value: bytes) -> Any: ...


def optional(package: str, *, extra: str, user: str) -> Any:
    """Import a package that only an extra installs.

    :raises ImportError: with the command that installs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        msg = f'{user} needs the package {package}, which is not installed. Try: pip install "taskiq-core[{extra}]"'
        raise ImportError(msg) from error
