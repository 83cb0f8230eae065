"""Messages to bodies."""

from abc import ABC, abstractmethod

from taskiq_core.message import BrokerMessage, TaskiqMessage


class TaskiqFormatter(ABC):
    """Decides what the body of a message looks like on the wire."""

    @abstractmethod
    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """The message as a broker carries it.

        :raises TypeError: or ValueError, for an argument that cannot be expressed.
        """

    @abstractmethod
    def loads(self, message: bytes) -> TaskiqMessage:
        """The message of a body.

        :raises MessageDecodeError: for any bytes that are not a message; nothing else may escape.
        """
