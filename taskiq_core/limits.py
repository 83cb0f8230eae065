"""How many of a task may run at once, or start within a time, in the whole cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias

from taskiq_core.retry import seconds

Key: TypeAlias = str | Callable[..., Any]
"""What of a call's arguments tells one from another: a template as in `str.format` over the names of the parameters
("{phone}", "{order.id}"), or a function of the task's arguments. Templates and functions get what the annotations say."""

_MARGIN = 0.02
"""Seconds at most by which a window is longer than was asked for: starts are seen a little later than they are granted."""

_MOST = 10**9
_LONGEST = 10 * 365 * 86400.0
"""What every store can count, and seconds that it can add to its clock."""


def margin(window: float) -> float:
    """The hundredth part of a window, at most 20 ms."""
    return min(window / 100, _MARGIN)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `n` run at once; with a `key`, so many for each value of it.

    `name` lets several tasks share one limit: give all of them the same.

    :raises ValueError: for an `n` below 1 or above a thousand million.
    """

    kind: ClassVar[str] = "at-once"

    n: int
    key: Key | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check_count("Concurrency", self.n)

    def __str__(self) -> str:
        return f"Concurrency({self.n}{_rest(self)})"

    def identity(self, task_name: str) -> str:
        """What tells this limit from others of its kind."""
        return self.name or f"{task_name}:{_text(self.key)}"

    @property
    def setting(self) -> str:
        """As stores read it."""
        return str(self.n)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `n` starts in any `per` seconds (or timedelta), ten years at most; with a `key`, so many for each value of it.

    `burst` smooths: at most so many starts in any `burst / n * per` seconds. It is `n` unless you say otherwise, so that the
    whole of a window may start at once. `name` lets several tasks share one limit.

    :raises ValueError: for numbers that make no sense.
    """

    kind: ClassVar[str] = "rate"

    n: int
    per: float | timedelta = 1.0
    key: Key | None = None
    burst: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        _check_count("Rate", self.n)
        object.__setattr__(self, "per", seconds(self.per))
        if self.per == 0:
            msg = "Rate(per=0) limits nothing: give the seconds in which n may start"
            raise ValueError(msg)
        if seconds(self.per) > _LONGEST:
            msg = f"Rate(per={self.per:g}): a window is ten years at most ({_LONGEST:g} seconds)"
            raise ValueError(msg)
        if self.burst is not None and not 1 <= self.burst <= self.n:
            msg = f"burst is how many of the {self.n} may start at once: 1 to {self.n}, not {self.burst}"
            raise ValueError(msg)

    def __str__(self) -> str:
        per = "" if self.per == 1 else f", per={self.per:g}"
        return f"Rate({self.n}{per}{'' if self.burst is None else f', burst={self.burst}'}{_rest(self)})"

    @property
    def starts(self) -> int:
        """How many may start in a `window`."""
        return self.burst or self.n

    @property
    def window(self) -> float:
        """Seconds in which `starts` may start, margin included."""
        asked = seconds(self.per) * self.starts / self.n
        return asked + margin(asked)

    @property
    def pace(self) -> float:
        """Seconds between the bookings of one start and of the one that is `starts` later: a little more than the window."""
        return self.window + margin(self.window)

    def identity(self, task_name: str) -> str:
        """What tells this limit from others of its kind."""
        return self.name or f"{task_name}:{_text(self.key)}"

    @property
    def setting(self) -> str:
        """As stores read it."""
        return f"{self.starts} {self.window!r} {self.pace!r}"


Limit: TypeAlias = Concurrency | Rate

_END = "\x1f"
"""Ends what comes before a key, so that no name is the beginning of another."""


def setting_key(limit: Limit, task_name: str) -> str:
    """Under what the shared state holds what was set for this limit at run time."""
    return f"limit:{limit.kind}:{limit.identity(task_name)}"


def places(limit: Limit, task_name: str) -> str:
    """How the names of all keys of this limit begin in the shared state; the value of the key follows."""
    return f"{limit.kind}:{limit.identity(task_name)}{_END}"


def waiting_for_rates(task_name: str) -> str:
    """How that begins for which this task's messages are parked while they wait for their time; the task id follows."""
    return f"time:{task_name}{_END}"


def _check_count(kind: str, n: int) -> None:
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= _MOST:  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"{kind}({n!r}): a limit is a whole number from 1 to {_MOST}"
        raise ValueError(msg)


def _rest(limit: Limit) -> str:
    key = "" if limit.key is None else f", key={limit.key!r}" if isinstance(limit.key, str) else f", key={_text(limit.key)}"
    return key + ("" if limit.name is None else f", name={limit.name!r}")


def _text(key: Key | None) -> str:
    return key if isinstance(key, str) else "" if key is None else getattr(key, "__qualname__", type(key).__qualname__)
