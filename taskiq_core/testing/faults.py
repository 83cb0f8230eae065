"""What may go wrong in a store or in a worker, as a test orders it."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

import anyio.lowlevel

Point = Literal["send", "receive", "settle", "store"]
"""Where it goes wrong: a send, a worker's asking for messages, its verdicts, or its storing of results."""


@dataclass(slots=True)
class _Order:
    error: BaseException
    times: int
    after: bool


class Faults:
    """Errors to come, by point, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._orders: dict[Point, list[_Order]] = {}

    def order(self, point: Point, error: BaseException, times: int, *, after: bool) -> None:
        """Raise `error` in the next `times` calls; with `after`, once the call has had its effect: its answer is lost.

        :raises ValueError: for another point than those.
        """
        if point not in get_args(Point):
            msg = f"{point!r} is no point where it may go wrong: those are {', '.join(map(repr, get_args(Point)))}"
            raise ValueError(msg)
        self._orders.setdefault(point, []).append(_Order(error, times, after))

    @contextmanager
    def at(self, point: Point) -> Generator[None]:
        """Around the effect of one call."""
        order = self._take(point)
        if order is not None and not order.after:
            raise order.error
        yield
        if order is not None:
            raise order.error

    def _take(self, point: Point) -> _Order | None:
        orders = self._orders.get(point)
        if not orders:
            return None
        order = orders[0]
        order.times -= 1
        if order.times <= 0:
            del orders[0]
        return order


class Life:
    """Of one worker. What a dead one still does has no effect outside of it, as if its process were gone."""

    def __init__(self) -> None:
        self.over = False


life: ContextVar[Life | None] = ContextVar("life", default=None)
"""The worker that the current task belongs to."""


class DeadWorkerError(BaseException):
    """What a dead worker meets where it reaches for a store, if not even its cancellation stopped it."""


async def outlive() -> None:
    """Where a worker reaches for a store: one that is dead never gets there."""
    if is_dead():
        await anyio.lowlevel.checkpoint()
        raise DeadWorkerError


def is_dead() -> bool:
    """Whether the current task belongs to a worker that has died."""
    own = life.get()
    return own is not None and own.over
