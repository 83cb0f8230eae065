"""One worker process works off a backlog in an SQLite file, results stored in the same file."""

from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks import sqlite_raw
from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.sending import fill
from benchmarks.workers import sqlite_arena


def measure(name: str, loop: str, scale: Scale) -> Iterator[Figure]:
    """From the first message received to the last one settled."""
    count = scale.pick(20_000, 10_000, 100)

    def run_raw() -> Time:
        with sqlite_raw.database() as conn:
            sqlite_raw.insert_in_batches(conn, count)
            return sqlite_raw.drain(conn)

    def run_ours() -> Time:
        with sqlite_arena() as place:
            anyio.run(fill, place, count)
            drained = place.drain(loop)
        assert drained.tasks == count, f"{drained.tasks} of {count} tasks ran"
        return drained.time

    yield from beside_raw(name, count, run_raw, run_ours)


def _benchmark(name: str, loop: str) -> Benchmark:
    return Benchmark(name, partial(measure, name, loop), rounds=5)


BENCHMARKS = (_benchmark("sqlite.drain", "asyncio"), _benchmark("sqlite.drain_uvloop", "uvloop"))
