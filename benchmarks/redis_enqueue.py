"""Sending to Redis: one by one, many at once, in bulk."""

from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks import redis_raw
from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.redis_arena import redis_arena
from benchmarks.redis_server import redis_server
from benchmarks.sending import Send, concurrently, in_bulk, singly, timed


def measure(name: str, send: Send, raw: redis_raw.Raw, counts: tuple[int, int, int], scale: Scale) -> Iterator[Figure]:
    """One way to send, beside a raw loop of the same kind."""
    count = scale.pick(*counts)

    def run_raw() -> Time:
        with redis_server() as server:
            return redis_raw.on(server, raw, count)

    def run_ours() -> Time:
        with redis_arena() as place:
            return anyio.run(timed, place, send, count)

    yield from beside_raw(name, count, run_raw, run_ours)


def _benchmark(name: str, send: Send, raw: redis_raw.Raw, counts: tuple[int, int, int]) -> Benchmark:
    return Benchmark(name, partial(measure, name, send, raw, counts))


BENCHMARKS = (
    _benchmark("redis.send_singly", singly, redis_raw.add_singly, (5_000, 2_000, 20)),
    _benchmark("redis.send_concurrently", concurrently, redis_raw.add_in_batches, (20_000, 5_000, 200)),
    _benchmark("redis.send_in_bulk", in_bulk, redis_raw.add_in_batches, (50_000, 20_000, 100)),
)
