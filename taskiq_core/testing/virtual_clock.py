"""Time that jumps: when everything waits, it is at once the time that the next one waits for."""

import asyncio
import math
import random
from collections.abc import Generator, Hashable, Set
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Protocol

import anyio
import anyio.lowlevel

from taskiq_core import clock
from taskiq_core.testing.asyncio_time import AsyncioLoop
from taskiq_core.testing.real_work import holding
from taskiq_core.testing.silence import Silence
from taskiq_core.testing.turns import Turns

PATIENCE = 1.0
"""Real seconds without news from open sockets and pipes, and from child processes, before time jumps."""

_BEGIN = 1.0
"""What the steady clock shows at first: always the same, as the sums that are made with it are rounded. It is less than any
real one shows, so that timers which were set before do not fire at once."""

_current: "VirtualTime | None" = None


class EventLoop(Protocol):
    """A running event loop whose clock can be taken over."""

    def take_over(self, time: "VirtualTime") -> None:
        """Let it live in virtual time from now on."""
        ...

    def give_back(self) -> None:
        """Let it live as before."""
        ...

    def sources(self) -> Set[Hashable]:
        """What outside can bring news: sockets and pipes other than its own, child processes."""
        ...


class VirtualTime:
    """The time of one event loop and of the core's clock; also a scheduler's `Clock`.

    It stands still while anything can run, however long that takes, and while a thread or a process works for the loop.
    When nothing is left but waiting, it jumps to the moment at which the first one wakes. What waits for a thread or a
    process wakes in real time: a timer that is due before that fires when its seconds have really passed, and no sooner than
    0.05 s after a thread began. The same holds for `patience` real seconds while the loop listens to sockets, pipes or child
    processes; after so long a silence time jumps, until something is heard or written again. Timers that were set before
    virtual time began stand still.

    :param start: what the wall clock shows at first; a naive datetime is UTC. None is now, in whole seconds.
    """

    def __init__(self, start: datetime | None, loop: EventLoop, patience: float) -> None:
        # Whole seconds: the sums with them are rounded in the same way in each run.
        start = datetime.now(UTC).replace(microsecond=0) if start is None else start
        start = start if start.tzinfo else start.replace(tzinfo=UTC)
        self._loop = loop
        self._seconds = _BEGIN
        self._epoch = start.timestamp() - _BEGIN
        self._holds = 0
        self.turns = Turns()
        self._resting: list[anyio.Event] = []
        self.silence = Silence(patience)
        self._waited = 0.0

    def monotonic(self) -> float:
        """Seconds of the event loop's clock."""
        return self._seconds

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._epoch + self._seconds

    def now(self) -> datetime:
        """An aware datetime in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    async def sleep_until(self, when: datetime | None, wake: anyio.Event) -> None:
        """See `taskiq_core.scheduler.Clock`."""
        await anyio.lowlevel.checkpoint()
        while not wake.is_set():
            left = math.inf if when is None else when.timestamp() - self.time()
            if left <= 0:
                return
            with anyio.move_on_after(left):
                await wake.wait()

    async def rest(self) -> None:
        """Return when all that can be done at this moment is done: everything waits, and no thread or process works."""
        event = anyio.Event()
        self._resting.append(event)
        try:
            await event.wait()
        finally:
            if event in self._resting:
                self._resting.remove(event)

    # -- for event loops ----------------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Generator[None]:
        """Within it something works that the event loop cannot see."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def real_wait(self, until: float) -> float:
        """How many real seconds the loop has to wait for news, when it could do nothing until then."""
        self._waited = 0.0
        if self.turns.wanted:
            return self.turns.wait()
        if self._holds:
            return max(self.turns.wait(), until - self._seconds)
        if until == math.inf and not self._resting:
            return math.inf
        left = self.silence.left(self._loop.sources())
        self._waited = left if self._resting else min(left, max(0.0, until - self._seconds))
        return self._waited

    def nothing_to_do(self, until: float) -> None:
        """There was no news within `real_wait`: wakes those who rest, or it is `until` now."""
        if self.turns.wait() > 0:
            return
        if not self._holds and self._waited:
            self.silence.lasted(self._loop.sources(), self._waited)
        if self.turns.wanted:
            self.turns.give()
        elif self._resting and not self._holds:
            resting, self._resting = self._resting, []
            for event in resting:
                event.set()
        elif until < math.inf:
            self._seconds = max(self._seconds, until)


@contextmanager
def virtual_time(start: datetime | None = None, *, seed: int | None = 0, patience: float = PATIENCE) -> Generator[VirtualTime]:
    """Let the running event loop, asyncio's own or trio, and the core live in virtual time; to be entered inside of it.

    Within another such block it is the time of that one. `seed` is for the module `random` (None leaves it alone), which is
    as before afterwards.

    :raises RuntimeError: for an event loop whose clock cannot be replaced, such as uvloop's, or a `start` in an inner block.
    """
    if _current is not None:
        if start is not None:
            msg = "Virtual time runs already: say its start where it is entered first."
            raise RuntimeError(msg)
        yield _current
        return
    loop = _running_loop()
    time = VirtualTime(start, loop, patience)
    with ExitStack() as undo:
        undo.enter_context(_as_current(time))
        loop.take_over(time)
        undo.callback(loop.give_back)
        undo.enter_context(clock.replaced(time.time, time.monotonic))
        undo.enter_context(holding(time.hold, time.turns.take))
        if seed is not None:
            undo.callback(random.setstate, random.getstate())
            random.seed(seed)
        yield time


def _running_loop() -> EventLoop:
    if isinstance(anyio.lowlevel.current_token().native_token, asyncio.AbstractEventLoop):
        return AsyncioLoop()
    from taskiq_core.testing.trio_time import TrioLoop

    return TrioLoop()


@contextmanager
def _as_current(time: VirtualTime) -> Generator[None]:
    global _current  # noqa: PLW0603 - one time for all of the process is the point
    _current = time
    try:
        yield
    finally:
        _current = None
