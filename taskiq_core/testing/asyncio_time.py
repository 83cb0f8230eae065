"""Virtual time on asyncio."""

import asyncio
import functools
import math
import threading
from asyncio import selector_events
from collections.abc import Callable, Hashable
from contextlib import ExitStack
from typing import Any, Protocol, cast

from taskiq_core.testing.real_work import replace_part
from taskiq_core.testing.silence import Silence

_WRITING: Any = (
    (selector_events._SelectorSocketTransport, "write"),  # type: ignore[attr-defined]
    (selector_events._SelectorSocketTransport, "writelines"),  # type: ignore[attr-defined]
    (selector_events._SelectorDatagramTransport, "sendto"),  # type: ignore[attr-defined]
)
"""By which code asks for news of a socket that it listens to already."""

_CHILD_WATCHERS = ("asyncio-waitpid-", "waitpid-")
"""Names of the threads that wait for child processes where no file does; the second is that of the first releases of 3.11."""


class Time(Protocol):
    """What a loop asks of `VirtualTime`."""

    silence: Silence

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
        self._undo = ExitStack()

    def take_over(self, time: Time) -> None:
        self._loop.time = time.monotonic
        for kind, name in _WRITING:
            replace_part(self._undo, kind, name, _heard(getattr(kind, name), time.silence))
        self._loop._selector = _VirtualSelector(self._selector, time, self._be_exact)
        self._be_exact()

    def give_back(self) -> None:
        self._undo.close()
        self._loop._selector, self._loop._clock_resolution = self._selector, self._resolution
        del self._loop.time

    def sources(self) -> set[Hashable]:
        sources: set[Hashable] = set(self._selector.get_map())
        sources.remove(self._loop._ssock.fileno())  # by which it wakes itself
        return sources | {thread.name for thread in threading.enumerate() if thread.name.startswith(_CHILD_WATCHERS)}

    def _be_exact(self) -> None:
        # Timers fire as much too early as the clock is coarse, and some then wait for the rest of their time: which would
        # never pass. So it is as fine as a float can be. (Finer, it would be lost in the sum, and the timer never fire.)
        self._loop._clock_resolution = math.ulp(self._loop.time())


def _heard(write: Callable[..., Any], silence: Silence) -> Callable[..., Any]:
    @functools.wraps(write)
    def call(transport: Any, *args: Any) -> Any:
        silence.heard(transport._sock_fd)
        return write(transport, *args)

    return call


class _VirtualSelector:
    """Waits for files as the real one does, but for time in no time."""

    def __init__(self, selector: Any, time: Time, changed: Callable[[], None]) -> None:
        self._selector = selector
        self._time = time
        self._changed = changed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)

    def register(self, file: Any, events: int, data: Any = None) -> Any:
        key = self._selector.register(file, events, data)
        self._time.silence.heard(key.fd)
        return key

    def modify(self, file: Any, events: int, data: Any = None) -> Any:
        key = self._selector.modify(file, events, data)
        self._time.silence.heard(key.fd)
        return key

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout <= 0:
            return self._selector.select(timeout)
        until = math.inf if timeout is None else self._time.monotonic() + timeout
        wait = self._time.real_wait(until)
        events = self._selector.select(None if wait == math.inf else wait)
        for key, _ in events:
            self._time.silence.heard(key.fd)
        if not events:
            self._time.nothing_to_do(until)
            self._changed()
        return events
