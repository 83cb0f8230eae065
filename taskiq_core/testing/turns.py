"""Threads one at a time, so that what they do has the same order in each run."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

_ALONE = 0.05
"""Real seconds for which a thread has the time to itself: then timers may fire, and the next one starts beside it, as it may
wait for those."""


class Turns:
    """Those who want to work get their turn when nothing else can run, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[anyio.Event] = []
        self._working: list[anyio.Event] = []
        self._alone_until = 0.0

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Wait for a turn; it ends with the block."""
        turn = anyio.Event()
        self._waiting.append(turn)
        try:
            await turn.wait()
            yield
        finally:
            (self._waiting if turn in self._waiting else self._working).remove(turn)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def wait(self) -> float:
        """Real seconds for which nothing may happen beside the one that works; 0 if nobody does."""
        return max(0.0, self._alone_until - time.monotonic()) if self._working else 0.0

    def give(self) -> None:
        """Let the next one start. To be called when nothing else can run."""
        turn = self._waiting.pop(0)
        self._working.append(turn)
        self._alone_until = time.monotonic() + _ALONE
        turn.set()
