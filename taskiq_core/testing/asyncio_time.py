"""Virtual time on asyncio."""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Protocol, cast


class Time(Protocol):
    """What a loop asks of `VirtualTime`."""

    def monotonic(self) -> float: ...
    def real_wait(self, until: float) -> float: ...
    def nothing_to_do(self, until: float) -> None: ...


class AsyncioLoop:
    """The running event loop. Its clock is a method, and its waiting is done by one object: both are replaced for a while.

    The second is not public. It has had its name as long as asyncio exists; without it there is an error that says so.
    """

    def __init__(self) -> None:
        self._loop = cast("Any", asyncio.get_running_loop())
        self._selector: Any = getattr(self._loop, "_selector", None)
        if self._selector is None:
            kind = f"{type(self._loop).__module__}.{type(self._loop).__name__}"
            msg = f"Virtual time needs asyncio's own event loop or trio; {kind} does not let its clock be replaced."
            raise RuntimeError(msg)
        self._resolution: Any = self._loop._clock_resolution

    def time(self) -> float:
        return float(self._loop.time())

    def take_over(self, time: Time) -> None:
        self._loop.time = time.monotonic
        self._loop._selector = _VirtualSelector(self._selector, time, self._be_exact)
        self._be_exact()

    def give_back(self) -> None:
        self._loop._selector, self._loop._clock_resolution = self._selector, self._resolution
        del self._loop.time

    def _be_exact(self) -> None:
        # Timers fire as much too early as the clock is coarse, and some then wait for the rest of their time: which would
        # never pass. So it is as fine as a float can be. (Finer, it would be lost in the sum, and the timer never fire.)
        self._loop._clock_resolution = math.ulp(self._loop.time())


class _VirtualSelector:
    """Waits for files as the real one does, but for time in no time."""

    def __init__(self, selector: Any, time: Time, changed: Callable[[], None]) -> None:
        self._selector = selector
        self._time = time
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            return self._selector.select(timeout)
        until = math.inf if timeout is None else self._time.monotonic() + timeout
        wait = self._time.real_wait(until)
        events = self._selector.select(None if wait == math.inf else wait)
        if not events:
            self._time.nothing_to_do(until)
            self._changed()
        return events
