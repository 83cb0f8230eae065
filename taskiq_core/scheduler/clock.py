"""The time that a scheduler lives in."""

from datetime import UTC, datetime
from typing import Final, Protocol

import anyio
import anyio.lowlevel

from taskiq_core import clock


class Clock(Protocol):
    """What the time is, and waiting for a later one."""

    def now(self) -> datetime:
        """An aware datetime in UTC."""
        ...

    async def sleep_until(self, when: datetime | None, wake: anyio.Event) -> None:
        """Return when it is `when` or later, or `wake` is set; None waits for `wake` alone. Cancelling is safe."""
        ...


class SystemClock:
    """The time of this machine."""

    _SLICE: Final = 10.0
    """Longest single sleep in seconds: so a wall clock that was set, or a machine that was suspended, is noticed."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(clock.time(), UTC)

    async def sleep_until(self, when: datetime | None, wake: anyio.Event) -> None:
        await anyio.lowlevel.checkpoint()
        while not wake.is_set():
            left = self._SLICE if when is None else (when - self.now()).total_seconds()
            if left <= 0:
                return
            with anyio.move_on_after(min(left, self._SLICE)):
                await wake.wait()
