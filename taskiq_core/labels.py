"""The labels that mean something to the framework: the only place where their names are spelt.

A label travels with one message and overrides what the task's options say. Values are read leniently (a label may have
crossed a wire that knows only strings) and wrong ones raise a `ValueError` that names the label.
"""

import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from taskiq_core.portable_text import is_portable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Label(Generic[T]):
    """A typed key into a message's labels."""

    name: str
    parse: Callable[[Any], T]

    def get(self, labels: Mapping[str, Any]) -> T | None:
        """The value, or None where the label is absent or None.

        :raises ValueError: if the value cannot be read as `T`.
        """
        value = labels.get(self.name)
        if value is None:
            return None
        try:
            return self.parse(value)
        except (TypeError, ValueError) as error:
            msg = f"Invalid {self.name} label {value!r}: {error}"
            raise ValueError(msg) from error

    def set(self, labels: MutableMapping[str, Any], value: T | None) -> None:
        """Write the value; None removes the label."""
        if value is None:
            labels.pop(self.name, None)
        else:
            labels[self.name] = value


def parse_bool(value: Any) -> bool:
    """True and False, also as the words that wires and environment variables make of them."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    msg = "expected true or false"
    raise ValueError(msg)


def parse_priority(value: Any) -> int:
    """0 to 9, higher first."""
    number = int(value)
    if not 0 <= number <= 9:
        msg = "a priority is a whole number from 0 to 9, higher first"
        raise ValueError(msg)
    return number


def check_queue(value: Any) -> str:
    """A queue's name: a text without commas, which every store can hold."""
    if not isinstance(value, str) or not value or "," in value or not is_portable(value):
        msg = f"a queue is named by a text without commas, NUL and half characters, not {value!r}"
        raise ValueError(msg)
    return value


def parse_seconds(value: Any) -> float:
    """Seconds, finite and not negative."""
    number = float(value)
    if not 0 <= number < math.inf:
        msg = "expected seconds, 0 or more"
        raise ValueError(msg)
    return number


QUEUE: Final = Label("queue_name", str)
PRIORITY: Final = Label("priority", parse_priority)
DELAY: Final = Label("delay", parse_seconds)
TIMEOUT: Final = Label("timeout", parse_seconds)
ACK_TYPE: Final = Label("ack_type", str)
RESULT_TTL: Final = Label("result_ttl", parse_seconds)
STORE_RESULT: Final = Label("store_result", parse_bool)
EXPIRES_AT: Final = Label("expires_at", float)
EXPIRES: Final = Label("expires", parse_seconds)
"""On a schedule: seconds from a fire to its EXPIRES_AT. Never sent."""
MAX_RETRIES: Final = Label("max_retries", int)
RETRY_ON_ERROR: Final = Label("retry_on_error", parse_bool)
SCHEDULE_ID: Final = Label("schedule_id", str)

RETRIES: Final = Label("_retries", int)
"""How often the task has been retried: 0 or absent in its first run."""
REQUEUES: Final = Label("X-Taskiq-requeue", int)
"""How often `Context.requeue()` sent it back."""
UNKNOWN: Final = Label("_unknown", int)
"""How many times a worker did not know the task."""
ON_SUCCESS: Final = Label("_on_success", str)
"""The callback of this one call, in place of its task's."""
ON_FAILURE: Final = Label("_on_failure", str)
"""As ON_SUCCESS."""
PARENT_ID: Final = Label("_parent_id", str)
"""On a callback: the id of the task whose end it was sent for."""
NO_PROCESS: Final = Label("_no_process", int)
"""How often no process could be got to run it."""
BOOKED: Final = Label("_booked", parse_bool)
"""True while it waits for the time that a rate limit has given it."""
WAITS: Final = Label("_waits", int)
"""How often it found all slots of a limit taken, on brokers without `Capability.PARK`."""
LAST_ERROR: Final = Label("_last_error", str)
"""Type and text of the error that caused the retry."""
WAITING: Final = (BOOKED.name, WAITS.name)
"""What a message carries only until it starts."""
UNIQUE: Final = Label("_unique", str)
"""The place of a unique task, see `uniqueness.Place`."""

SCHEDULE: Final = "schedule"
"""Taskiq's label with a list of schedules; read from the task, never sent."""
TYPES_OF_EXCEPTIONS: Final = "types_of_exceptions"
"""Taskiq's list of exception classes; read from the task, never sent."""
LOCAL_ONLY: Final = frozenset({SCHEDULE, TYPES_OF_EXCEPTIONS})
OF_ONE_LIFE: Final = frozenset({label.name for label in (RETRIES, REQUEUES, UNKNOWN, NO_PROCESS, LAST_ERROR)})
"""Labels that count or tell what has happened to a message; one that begins anew has none of them."""


def is_framework_label(name: str) -> bool:
    """Whether a label belongs to the framework or a plugin of it rather than to the application."""
    return name in _OURS or name.startswith(("_", "X-Taskiq-"))


_OURS = frozenset(value.name for value in list(globals().values()) if isinstance(value, Label)) | LOCAL_ONLY
