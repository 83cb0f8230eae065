"""Whether and when a failed task runs again."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, cast

from taskiq_core.exceptions import ArgumentError, NoResultError, TaskFailed, TaskRejectedError, TaskRetry

Backoff = Literal["fixed", "linear", "exponential"]


_LONGEST: Final = 1e11


def seconds(value: float | timedelta) -> float:
    """Seconds of a number or a timedelta.

    :raises ValueError: if negative, not a number, or more than 3,000 years: no store can count so far.
    """
    try:
        number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= _LONGEST:
        msg = f"expected seconds, 0 or more and at most {_LONGEST:g}, or a timedelta, got {value!r}"
        raise ValueError(msg)
    return number


@dataclass(frozen=True, slots=True)
class Retry:
    """`Retry(3)`: up to three retries after the first run, so at most four runs.

    `delay` and `max_delay` are seconds or timedeltas. The n-th retry (from 1) waits `delay` (fixed), `delay * n` (linear) or
    `delay * 2 ** (n - 1)` (exponential), at most `max_delay`. `jitter` spreads the wait evenly over its upper half, so that
    many tasks that failed together do not come back together. Only exceptions in `on` are retried, and none in `never`:
    each is an exception class, or several of them.

    :raises ValueError: for negative numbers, an unknown back-off, or what is no exception class.
    """

    max_retries: int = 3
    delay: float | timedelta = 0.0
    backoff: Backoff = "fixed"
    max_delay: float | timedelta = 3600.0
    jitter: bool = False
    on: tuple[type[BaseException], ...] = (Exception,)
    never: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            msg = f"max_retries counts retries after the first run: 0 or more, not {self.max_retries}"
            raise ValueError(msg)
        if self.backoff not in ("fixed", "linear", "exponential"):
            msg = f"backoff is 'fixed', 'linear' or 'exponential', not {self.backoff!r}"
            raise ValueError(msg)
        for name in ("delay", "max_delay"):
            object.__setattr__(self, name, seconds(getattr(self, name)))
        for name in ("on", "never"):
            object.__setattr__(self, name, _exception_classes(name, getattr(self, name)))

    def wait(self, retry: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds before the `retry`-th retry (from 1)."""
        delay, cap = seconds(self.delay), seconds(self.max_delay)
        if self.backoff == "linear":
            delay *= retry
        elif self.backoff == "exponential":
            delay *= 2.0 ** min(retry - 1, 64)
        delay = min(delay, cap)
        return delay * (0.5 + 0.5 * chance()) if self.jitter else delay


def _exception_classes(name: str, value: Any) -> tuple[type[BaseException], ...]:
    several = isinstance(value, tuple | list | set | frozenset)
    given: tuple[Any, ...] = tuple(cast("Iterable[Any]", value)) if several else (value,)
    for item in given:
        if not isinstance(item, type) or not issubclass(item, BaseException):
            msg = f"{name} takes exception classes, as in {name}=(ConnectionError, TimeoutError), not {item!r}"
            raise ValueError(msg)  # noqa: TRY004 - as for every other value that makes no sense
    return given


def next_retry(policy: Retry | None, error: BaseException, retries_so_far: int) -> float | None:
    """Seconds to wait before the retry that `error` is granted, or None where it is granted none.

    `TaskRetry` asks for one by itself: without a policy it gets up to three, as in `Retry()`.
    """
    if isinstance(error, NoResultError | TaskRejectedError | ArgumentError):
        return None  # the last fails in every attempt alike
    asked = error.delay if isinstance(error, TaskRetry) else None
    wanted = isinstance(error, TaskRetry) or (isinstance(error, TaskFailed) and error.retry)
    if policy is None:
        if not wanted:
            return None
        policy = Retry()
    if retries_so_far >= policy.max_retries or (isinstance(error, TaskFailed) and not error.retry):
        return None
    if not wanted and (isinstance(error, policy.never) or not isinstance(error, policy.on)):
        return None
    return policy.wait(retries_so_far + 1) if asked is None else seconds(asked)
