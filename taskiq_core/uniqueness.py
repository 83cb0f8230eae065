"""Which sends of a task are one."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, NamedTuple, Self

from taskiq_core.limits import Key
from taskiq_core.retry import seconds

Conflict = Literal["skip", "raise", "replace"]
Until = Literal["started", "finished"]


@dataclass(frozen=True, slots=True)
class Unique:
    """One at a time, for each value of `key` (None: for the task).

    The place is taken at the send and given up when the task starts or has finished, after `ttl` seconds at the latest. A send
    that finds it taken is skipped (its handle is that of the first, its outcome "duplicate"), raises `DuplicateTaskError`, or
    replaces the first if that has not started.

    :raises ValueError: for values that make no sense.
    """

    key: Key | None = None
    ttl: float | timedelta = 3600.0
    until: Until = "finished"
    on_conflict: Conflict = "skip"

    def __post_init__(self) -> None:
        _positive(self, "ttl")
        if self.until not in ("started", "finished"):
            msg = f"until is 'started' or 'finished', not {self.until!r}"
            raise ValueError(msg)
        if self.on_conflict not in ("skip", "raise", "replace"):
            msg = f"on_conflict is 'skip', 'raise' or 'replace', not {self.on_conflict!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Debounce:
    """Runs once, `wait` seconds after the last of several calls with one `key`, with the arguments of the last.

    However many come, it runs `max_wait` seconds after the first, where that is given.

    :raises ValueError: for values that make no sense.
    """

    wait: float | timedelta
    key: Key | None = None
    max_wait: float | timedelta | None = None

    def __post_init__(self) -> None:
        _positive(self, "wait")
        if self.max_wait is not None:
            _positive(self, "max_wait")


@dataclass(frozen=True, slots=True)
class Throttle:
    """The first call with one `key` runs; those of the next `per` seconds are skipped, with the outcome "duplicate".

    :raises ValueError: for values that make no sense.
    """

    per: float | timedelta
    key: Key | None = None

    def __post_init__(self) -> None:
        _positive(self, "per")


class Place(NamedTuple):
    """Where the claim of a message is and when workers give it up; travels with the message, as text."""

    until: Until
    key: str

    def __str__(self) -> str:
        return f"{self.until}:{self.key}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Undo `str`; None for any other text."""
        until, _, key = text.partition(":")
        if until not in ("started", "finished"):
            return None
        return cls("started" if until == "started" else "finished", key)


def _positive(owner: object, name: str) -> None:
    number = seconds(getattr(owner, name))
    if number == 0:
        msg = f"{name} must be more than 0 seconds"
        raise ValueError(msg)
    object.__setattr__(owner, name, number)
