"""Time that passes only when a test says so."""

import itertools
from datetime import datetime, timedelta

import anyio
import anyio.lowlevel

_TURNS = 60
"""Turns of the event loop in which everything in memory has come to rest (`wait_all_tasks_blocked` takes 0.1 s on asyncio)."""


class FakeClock:
    """A scheduler's `Clock`. `advance` goes from sleeper to sleeper and lets everybody finish what he woke for."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._sleepers: dict[int, tuple[datetime, anyio.Event]] = {}
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        """For stores that ask the module `time`."""
        return self._now.timestamp()

    async def sleep_until(self, when: datetime | None, wake: anyio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        if wake.is_set() or (when is not None and when <= self._now):
            return
        if when is None:
            await wake.wait()
            return
        number, alarm = next(self._numbers), anyio.Event()
        self._sleepers[number] = (when, alarm)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._forward, wake, alarm)
                await alarm.wait()
                group.cancel_scope.cancel()
        finally:
            del self._sleepers[number]

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        end = self._now + timedelta(seconds=seconds)
        while True:
            await _settle()
            due = sorted((when, number) for number, (when, _) in self._sleepers.items() if when <= end)
            if not due:
                break
            self._now = max(self._now, due[0][0])
            for when, alarm in list(self._sleepers.values()):
                if when <= self._now:
                    alarm.set()
        self._now = end
        await _settle()

    @staticmethod
    async def _forward(wake: anyio.Event, alarm: anyio.Event) -> None:
        await wake.wait()
        alarm.set()


async def _settle() -> None:
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()
