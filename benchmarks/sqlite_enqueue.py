"""Sending to an SQLite file: one by one, many at once, in bulk."""

import gc
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio

from benchmarks import sqlite_raw
from benchmarks.clock import Time, now, since
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.workers import Arena, arena
from taskiq_core import call

_BULK = 1000
_IN_FLIGHT = 100

Send = Callable[[Any, int], Awaitable[None]]
Raw = Callable[[sqlite3.Connection, int], Time]


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


async def in_bulk(task: Any, count: int) -> None:
    """`kiq_many` with a thousand calls each."""
    for start in range(0, count, _BULK):
        await task.kiq_many([call() for _ in range(min(_BULK, count - start))])


async def timed(place: Arena, send: Send, count: int) -> Time:
    """The time of sending `count` tasks."""
    broker, task = place.client()
    async with broker:
        await task.kiq()
        gc.collect()
        begin = now()
        await send(task, count)
        return since(begin)


def measure(name: str, send: Send, raw: Raw, counts: tuple[int, int, int], scale: Scale) -> Iterator[Figure]:
    """One way to send, beside a raw loop of the same kind."""
    count = scale.pick(*counts)

    def run_raw() -> Time:
        with sqlite_raw.database() as conn:
            return raw(conn, count)

    def run_ours() -> Time:
        with arena() as place:
            return anyio.run(timed, place, send, count)

    yield from beside_raw(name, count, run_raw, run_ours)


def _benchmark(name: str, send: Send, raw: Raw, counts: tuple[int, int, int]) -> Benchmark:
    return Benchmark(name, partial(measure, name, send, raw, counts))


BENCHMARKS = (
    _benchmark("sqlite.send_singly", singly, sqlite_raw.insert_singly, (5_000, 2_000, 20)),
    _benchmark("sqlite.send_concurrently", concurrently, sqlite_raw.insert_in_batches, (20_000, 5_000, 200)),
    _benchmark("sqlite.send_in_bulk", in_bulk, sqlite_raw.insert_in_batches, (50_000, 20_000, 100)),
)
