"""Taskiq's message form as compact JSON."""

import json

from pydantic_core import to_json

from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.formatters.envelope import envelop, wire_labels
from taskiq_core.formatters.taskiq_form import from_form, to_form
from taskiq_core.message import BrokerMessage, TaskiqMessage


class JSONFormatter(TaskiqFormatter):
    """Bodies that Taskiq reads, whatever the broker's serializer.

    Types that JSON lacks travel as pydantic writes them (UUID, datetime, Decimal as text, sets as lists); the annotation on
    the receiving side makes them what they were.
    """

    def dumps(self, message: TaskiqMessage) -> BrokerMessage:
        """The message as a broker carries it.

        :raises ValueError: for an argument that has no JSON form, such as bytes that are not UTF-8.
        """
        labels = wire_labels(message.labels)
        return envelop(message, labels, to_json(to_form(message, labels)))

    def loads(self, message: bytes) -> TaskiqMessage:
        """The message of a body.

        :raises MessageDecodeError: for any bytes that are not one.
        """
        return load_json(message)


def load_json(body: bytes) -> TaskiqMessage:
    """The message of a JSON body.

    :raises MessageDecodeError: for any bytes that are not one.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        place = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        reason = f"{len(body)} bytes that are not JSON: {type(error).__name__}{place}"
        raise MessageDecodeError(reason=reason) from error
    return from_form(data)
