"""Taskiq's message form through any serializer."""

from typing import Protocol

from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.abc.serializer import TaskiqSerializer
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.formatters.envelope import envelop, wire_labels
from taskiq_core.formatters.taskiq_form import from_form, to_form
from taskiq_core.message import BrokerMessage, TaskiqMessage


class HasSerializer(Protocol):
    """A broker, as far as a formatter needs to know it."""

    @property
    def serializer(self) -> TaskiqSerializer:
        """Asked at every message, so it may be replaced later."""
        ...


class ProxyFormatter(TaskiqFormatter):
    """Taskiq's default: the six fields of a message, through a serializer or the serializer of a broker.

    With `JSONSerializer` the bodies are byte for byte Taskiq's.
    """

    def __init__(self, source: HasSerializer | TaskiqSerializer) -> None:
        self._source = source

    @property
    def serializer(self) -> TaskiqSerializer:
        """The serializer in use now."""
        return self._source if isinstance(self._source, TaskiqSerializer) else self._source.serializer

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """The message as a broker carries it.

        :raises TypeError: or ValueError, for an argument that the serializer cannot express.
        """
        labels = wire_labels(message.labels)
        return envelop(message, labels, self.serializer.dumpb(to_form(message, labels)))

    def loads(self, message: bytes) -> TaskiqMessage:
        """The message of a body.

        :raises MessageDecodeError: for any bytes that are not one.
        """
        serializer = self.serializer
        try:
            data = serializer.loadb(message)
        except Exception as error:  # a stranger's serializer may raise anything about strange bytes
            reason = f"{type(serializer).__name__} cannot read its {len(message)} bytes: {type(error).__name__}"
            raise MessageDecodeError(reason=reason) from error
        return from_form(data)
