"""Sending to an SQLite file: one by one, many at once, in bulk."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial

import anyio

from benchmarks import sqlite_raw
from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.sending import Send, concurrently, in_bulk, singly, timed
from benchmarks.workers import sqlite_arena

Raw = Callable[[sqlite3.Connection, int], Time]


def measure(name: str, send: Send, raw: Raw, counts: tuple[int, int, int], scale: Scale) -> Iterator[Figure]:
    """One way to send, beside a raw loop of the same kind."""
    count = scale.pick(*counts)

    def run_raw() -> Time:
        with sqlite_raw.database() as conn:
            return raw(conn, count)

    def run_ours() -> Time:
        with sqlite_arena() as place:
            return anyio.run(timed, place, send, count)

    yield from beside_raw(name, count, run_raw, run_ours)


def _benchmark(name: str, send: Send, raw: Raw, counts: tuple[int, int, int]) -> Benchmark:
    return Benchmark(name, partial(measure, name, send, raw, counts))


BENCHMARKS = (
    _benchmark("sqlite.send_singly", singly, sqlite_raw.insert_singly, (5_000, 2_000, 20)),
    _benchmark("sqlite.send_concurrently", concurrently, sqlite_raw.insert_in_batches, (20_000, 5_000, 200)),
    _benchmark("sqlite.send_in_bulk", in_bulk, sqlite_raw.insert_in_batches, (50_000, 20_000, 100)),
)
