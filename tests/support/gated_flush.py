"""A flush that a test opens and closes, and waiting for who stands in line for it."""

import anyio

from taskiq_core.group_commit import GroupCommit


class Link:
    """A flush that a test opens and closes like a gate."""

    def __init__(self) -> None:
        self.flushed: list[list[int]] = []
        self.entered = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.running = 0

    def close(self) -> None:
        self.gate, self.entered = anyio.Event(), anyio.Event()

    async def flush(self, items: list[int]) -> None:
        self.running += 1
        assert self.running == 1, "two flushes at once"
        try:
            self.entered.set()
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            self.flushed.append(items)
        finally:
            self.running -= 1


async def parked(group: GroupCommit[int], count: int) -> None:
    """Wait until that many callers stand in line."""
    with anyio.fail_after(5):
        while len(group._waiting) < count:
            await anyio.lowlevel.checkpoint()
