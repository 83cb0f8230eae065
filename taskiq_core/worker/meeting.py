"""Where the messages of one batch meet: each with its own hooks and verdict, all of them for one call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.slot import Slot


@dataclass(slots=True, eq=False)
class Seat:
    """One element, and what becomes of it."""

    place: int
    element: Any
    done: anyio.Event = field(default_factory=anyio.Event)
    value: Any = None
    error: BaseException | None = None
    trace: TracebackType | None = None

    def settle(self, value: Any) -> None:
        """What the function has returned for it; an error is raised."""
        if isinstance(value, BaseException):
            self.error, self.trace = value, value.__traceback__
        else:
            self.value = value
        self.done.set()


class Meeting:
    """Complete when each message of the batch has come or ended before."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._seats: list[Seat] = []
        self.complete = anyio.Event()
        self.on_desertion: Callable[[], None] = lambda: None
        """Called when nobody waits any more."""

    def seats(self) -> list[Seat]:
        """Those who wait, in the order of their messages."""
        return sorted(self._seats, key=lambda seat: seat.place)

    def came(self) -> None:
        """One more has come, or will not."""
        self._expected -= 1
        if not self._expected:
            self.complete.set()

    async def join(self, place: int, element: Any) -> Any:
        """Wait for the value of `element`. Cancelling takes it out, also of a call that is under way.

        :raises BaseException: what the call raised, or returned for it.
        """
        seat = Seat(place, element)
        self._seats.append(seat)
        self.came()
        try:
            await seat.done.wait()
        finally:
            self._seats.remove(seat)
            if not self._seats:
                self.on_desertion()
        if seat.error is not None:
            raise seat.error.with_traceback(seat.trace)  # all may share it: each begins with the trace of the call
        return seat.value


class Member(Slot):
    """The place of one message of a batch, in which it can be cancelled by itself.

    `withdraw` is called when it is cancelled before its batch runs.
    """

    __slots__ = ("_meeting", "_place", "_withdraw", "came", "delivery", "loaded", "scope")

    def __init__(self, slot: Slot, delivery: Delivery, message: TaskiqMessage, withdraw: "Callable[[Member], None]") -> None:
        super().__init__(slot.index, slot._recorder, slot._base, slot._wake)
        self.delivery = delivery
        self.loaded = self.message = message
        self.came = False
        """True if it takes part in the call."""
        self.scope = anyio.CancelScope()
        """To be entered by its run."""
        self._place = 0
        self._meeting: Meeting | None = None
        self._withdraw = withdraw

    def invite(self, meeting: Meeting, place: int) -> None:
        """Its batch is taken by a slot: from now on its run is what is cancelled, also before it has begun."""
        self._meeting, self._place = meeting, place
        self.scope = self.renew()

    def cancel(self, reason: str) -> None:
        """Take it out of its batch."""
        if self._meeting is not None:
            super().cancel(reason)
        elif self.told is None:
            self.told = reason
            self._withdraw(self)

    async def join(self, element: Any) -> Any:
        """Take part in the call; see `Meeting.join`."""
        assert self._meeting is not None
        self.came = True
        return await self._meeting.join(self._place, element)


@dataclass(slots=True, eq=False)
class Gathered:
    """Messages of one task that are to run together."""

    task_name: str
    size: int
    """How many at most."""
    due: float
    """By the clock of the event loop."""
    members: list[Member] = field(default_factory=list[Member])
