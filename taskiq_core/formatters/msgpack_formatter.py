"""The default form of a message: a msgpack array."""

from typing import Any, cast

from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.formatters.envelope import envelop, wire_labels
from taskiq_core.formatters.json_formatter import load_json
from taskiq_core.formatters.taskiq_form import checked
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.wire import pack, unpack

_VERSION = 1
_FIELDS = 6


class MsgpackFormatter(TaskiqFormatter):
    """Bodies are `[1, task_id, task_name, labels, args, kwargs]` in msgpack, with the extension types of `wire`.

    UUID, datetime, Decimal, set and their like keep their types; so do label values. Reads Taskiq's JSON bodies as well, so
    that queues filled by Taskiq can be worked off.
    """

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """The message as a broker carries it.

        :raises TypeError: or ValueError, for an argument or label that cannot be expressed; the text names its type.
        """
        labels = message.labels
        if labels:
            labels = wire_labels(labels)
        body = pack([_VERSION, message.task_id, message.task_name, labels, message.args, message.kwargs])
        return envelop(message, labels, body)

    def loads(self, message: bytes) -> TaskiqMessage:
        """The message of a body.

        :raises MessageDecodeError: for any bytes that are neither of the two forms, or of another version.
        """
        if message[:1] == b"{":
            return load_json(message)
        try:
            fields = unpack(message)
        except ValueError as error:
            kind = type(error.__cause__ or error).__name__
            raise MessageDecodeError(reason=f"{len(message)} bytes that are not msgpack: {kind}") from error
        if not isinstance(fields, list):
            raise MessageDecodeError(reason=f"expected an array of {_FIELDS} fields, got {type(fields).__name__}")
        values = cast("list[Any]", fields)
        if len(values) == _FIELDS and type(values[0]) is int and values[0] == _VERSION:
            return checked(*values[1:])
        raise MessageDecodeError(reason=_why_not(values))


def _why_not(values: list[Any]) -> str:
    version = values[0] if values else None
    if type(version) is not int:
        return f"expected a version number in front, got {type(version).__name__}"
    if version != _VERSION:
        return f"the message has version {version}, this release reads version {_VERSION}"
    return f"expected {_FIELDS} fields, got {len(values)}"
