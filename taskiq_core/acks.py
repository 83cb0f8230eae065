"""When a message is acknowledged, and Taskiq's message with an ack function."""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


class AcknowledgeType(str, enum.Enum):
    """When ACK is sent; the verdict itself does not depend on it."""

    WHEN_RECEIVED = "when_received"
    """Before the run: at most once. A worker that dies takes the task with it."""
    WHEN_EXECUTED = "when_executed"
    """After the function, before the result is stored."""
    WHEN_SAVED = "when_saved"
    """After the result is stored (the default): nothing is lost."""
    MANUAL = "manual"
    """By the task, with `Context.ack()`; what it does not acknowledge comes back when its lease ends."""


def parse_acknowledge_type(value: "str | AcknowledgeType") -> AcknowledgeType:
    """Read the name of an acknowledge type in any case.

    :raises ValueError: "Invalid ack_type label ..." for any other text.
    """
    try:
        return AcknowledgeType(str(getattr(value, "value", value)).lower())
    except ValueError:
        known = ", ".join(member.value for member in AcknowledgeType)
        msg = f"Invalid ack_type label {value!r}, expected one of: {known}"
        raise ValueError(msg) from None


@dataclass(slots=True)
class AckableMessage:
    """What a classic broker's `listen()` yields when its messages can be acknowledged.

    `ack` may be sync or async. `nack`, where given, is called with True to give the message back to the queue and with
    False to dead-letter it; without it both are made from sending again and acknowledging.
    """

    data: bytes
    ack: Callable[[], Any | Awaitable[Any]]
    nack: Callable[[bool], Any | Awaitable[Any]] | None = None
