"""Ways to send: one by one, many at once, in bulk."""

import gc
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from benchmarks.clock import Time, now, since
from benchmarks.workers import Arena
from taskiq_core import call

_BULK = 1000
_IN_FLIGHT = 100

Send = Callable[[Any, int], Awaitable[None]]


async def singly(task: Any, count: int) -> None:
    """Each send waits for the one before."""
    for _ in range(count):
        await task.kiq()


async def concurrently(task: Any, count: int) -> None:
    """A hundred senders at a time in one process."""

    async def send(share: int) -> None:
        for _ in range(share):
            await task.kiq()

    async with anyio.create_task_group() as group:
        for index in range(_IN_FLIGHT):
            group.start_soon(send, count // _IN_FLIGHT + (index < count % _IN_FLIGHT))


async def in_bulk(task: Any, count: int, *args: Any) -> None:
    """`kiq_many` with a thousand calls each."""
    for start in range(0, count, _BULK):
        await task.kiq_many([call(*args) for _ in range(min(_BULK, count - start))])


async def timed(place: Arena, send: Send, count: int) -> Time:
    """The time of sending `count` no-op tasks."""
    broker, tasks = place.client()
    async with broker:
        await tasks.noop.kiq()
        gc.collect()
        begin = now()
        await send(tasks.noop, count)
        return since(begin)


async def fill(place: Arena, count: int, name: str = "noop", args: Sequence[Any] = ()) -> None:
    """Make a backlog of one of the tasks."""
    broker, tasks = place.client()
    async with broker:
        await in_bulk(getattr(tasks, name), count, *args)
