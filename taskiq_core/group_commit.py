"""Many concurrent callers, one flush at a time.

Whoever finds nobody flushing flushes at once. Whoever comes meanwhile waits; when the flush ends, the longest waiting of
them leads the next one and takes all the others along. So batches form by back-pressure: no timer delays an idle call, no
task runs in the background, and the busier it gets the larger the batches are.

A deadline of its own costs a caller more than all the rest of its wait. So only the first in line, whose deadline comes first,
waits under one, and takes out whoever else is late; those whose flush runs are under the deadline of its leader.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from enum import Enum
from types import TracebackType
from typing import Generic, TypeVar

import anyio

from taskiq_core import clock
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core.exceptions import BrokerError

T = TypeVar("T")


_flush_ends: ContextVar[float] = ContextVar("flush_ends", default=math.inf)


def seconds_left() -> float:
    """Within a flush: seconds until it is cancelled, as the first of its callers must have an answer; infinite elsewhere.

    A flush that ends by itself before that can say why, and whether it took effect.
    """
    return _flush_ends.get() - clock.monotonic()


class NotFlushedError(TimeoutError):
    """The item waited too long behind other flushes and was taken out: it was certainly not flushed."""


class _Place(Enum):
    WAITING = 1
    LEADING = 2
    IN_FLIGHT = 3
    ANSWERED = 4
    GONE = 5


class _Caller(Generic[T]):
    __slots__ = ("_error", "_traceback", "deadline", "item", "place", "timeout", "watches", "woken")

    def __init__(self, item: T, timeout: float) -> None:
        self.item = item
        self.timeout = timeout
        self.deadline = clock.monotonic() + timeout
        self.place = _Place.WAITING
        self.watches = False
        self.woken = anyio.Event()
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None

    def answer(self, error: BaseException | None) -> None:
        """Note how its flush ended; only the first answer counts."""
        if self.place is not _Place.ANSWERED:
            self.place = _Place.ANSWERED
            if error is not None:
                self._error, self._traceback = error, error.__traceback__
            self.woken.set()

    def result(self) -> None:
        """Raise the error of its flush, if there was one."""
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)

    def start_watching(self) -> None:
        """Wake it, so that it goes on waiting under its own deadline."""
        if not self.watches:
            self.watches = True
            woken, self.woken = self.woken, anyio.Event()
            woken.set()


class GroupCommit(Generic[T]):
    """Shares `flush` between concurrent callers; not for use by several event loops. It must end soon when it is cancelled.

    `flush` gets 1 to `max_batch` items in the order of their submission. With an error of a kind in `splits` it says that it
    has taken none of them because of some item: then halves of the batch are tried, so that only such items fail.
    """

    def __init__(
        self, flush: Callable[[list[T]], Awaitable[None]], *, max_batch: int = 1000, splits: tuple[type[Exception], ...] = ()
    ) -> None:
        if max_batch < 1:
            msg = f"max_batch is 1 or more, not {max_batch}"
            raise ValueError(msg)
        self._flush = flush
        self._max_batch = max_batch
        self._splits = splits
        self._busy = False
        self._failure: str | None = None  # a text: an error would keep everything alive that its frames know
        self._waiting: deque[_Caller[T]] = deque()
        self._latest = -math.inf  # deadline of those in line

    async def submit(self, item: T, timeout: float = SEND_TIMEOUT) -> None:
        """Return when a flush that contained `item` has succeeded.

        An item that has to wait for others has its answer after `timeout` seconds, the wait and its flush together.
        Cancelling is safe: an item still waiting is taken out; one whose flush is running may or may not be flushed, and the
        other items of that flush are not disturbed. A call that has the flush to itself runs it under its own deadlines,
        as if it had called it directly. (A bare `asyncio.Task.cancel()` that hits the leader of a batch goes through every
        shield: the others of that batch then get a `BrokerError` whose outcome is unknown.)

        :raises NotFlushedError: a `TimeoutError`, if the item waited longer than `timeout` and was taken out.
        :raises TimeoutError: if its flush has run for too long; whether it took effect is unknown.
        :raises Exception: whatever the flush raised, in all of its callers.
        """
        if self._busy:
            await self._wait_turn(_Caller(item, timeout))
            return
        self._busy = True
        try:
            await self._flush([item])
            self._failure = None
        except Exception as error:
            self._failure = str(getattr(error, "reason", error))
            raise
        finally:
            self._hand_over()

    async def _wait_turn(self, caller: _Caller[T]) -> None:
        # Who has less time than somebody before it cannot rely on the first in line, and watches for itself.
        in_order = caller.deadline >= self._latest
        self._latest = max(self._latest, caller.deadline)
        caller.watches = not (in_order and self._waiting)
        self._waiting.append(caller)
        try:
            if not caller.watches:
                await caller.woken.wait()
            if caller.watches:
                with anyio.fail_after(caller.deadline - clock.monotonic()):
                    await caller.woken.wait()
        except BaseException as reason:
            place = self._leave(caller)
            if not isinstance(reason, TimeoutError) or place is _Place.IN_FLIGHT:
                raise
            if place is not _Place.ANSWERED:
                raise self._too_late(caller) from None
        if caller.place is _Place.LEADING:
            if caller.deadline - clock.monotonic() < caller.timeout / 10:
                self._hand_over()
                raise self._too_late(caller)
            await self._lead(caller)
        caller.result()

    def _leave(self, caller: _Caller[T]) -> _Place:
        place, caller.place = caller.place, _Place.GONE
        if place is _Place.LEADING:
            self._hand_over()
        elif place is _Place.WAITING and self._waiting[0] is caller:
            self._relieve_watch()
        return place

    def _relieve_watch(self) -> None:
        """Have the first in line watch; who is late or gone is no longer in line."""
        now = clock.monotonic()
        while self._waiting:
            first = self._waiting[0]
            if first.place is _Place.WAITING:
                if first.deadline > now:
                    first.start_watching()
                    return
                first.answer(self._too_late(first))
            self._waiting.popleft()

    async def _lead(self, leader: _Caller[T]) -> None:
        batch = [leader]
        while self._waiting and len(batch) < self._max_batch:
            caller = self._waiting.popleft()
            if caller.place is _Place.WAITING:
                caller.place = _Place.IN_FLIGHT
                batch.append(caller)
        if self._waiting:
            self._relieve_watch()
        else:
            self._latest = -math.inf
        token = _flush_ends.set(leader.deadline)
        unanswered: BaseException = BrokerError(reason="the send was interrupted half-way, whether it took effect is unknown")
        try:
            with anyio.fail_after(leader.deadline - clock.monotonic(), shield=True):
                await self._flush_for(batch)
        except TimeoutError as error:
            unanswered = error
        finally:
            _flush_ends.reset(token)
            for caller in batch:
                caller.answer(unanswered)
            self._hand_over()

    async def _flush_for(self, batch: list[_Caller[T]]) -> None:
        try:
            await self._flush([caller.item for caller in batch])
        except Exception as error:  # noqa: BLE001 - it belongs to the callers
            if len(batch) > 1 and isinstance(error, self._splits):
                half = len(batch) // 2
                await self._flush_for(batch[:half])
                await self._flush_for(batch[half:])
                return
            self._failure = str(getattr(error, "reason", error))
            for caller in batch:
                caller.answer(error)
        else:
            self._failure = None
            for caller in batch:
                caller.answer(None)

    def _hand_over(self) -> None:
        while self._waiting:
            caller = self._waiting.popleft()
            if caller.place is _Place.WAITING:
                caller.place = _Place.LEADING
                caller.woken.set()
                return
        self._busy, self._latest = False, -math.inf

    def _too_late(self, caller: _Caller[T]) -> NotFlushedError:
        cause = "" if self._failure is None else f"; the last of them failed: {self._failure}"
        return NotFlushedError(f"waited {caller.timeout:g} s behind other sends and was taken out, not sent{cause}")
