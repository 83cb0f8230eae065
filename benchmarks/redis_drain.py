"""One worker process works off a backlog on Redis, results stored with a TTL on the same server."""

from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks import redis_raw
from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.redis_arena import redis_arena
from benchmarks.redis_server import redis_server
from benchmarks.sending import fill
from benchmarks.workers import Drained


def drain(count: int, loop: str = "asyncio", task: str = "noop", args: tuple[str, ...] = ()) -> tuple[Drained, float]:
    """What a worker needed for `count` tasks of one kind, and the server's microseconds of CPU for each."""
    with redis_arena() as place:
        anyio.run(fill, place, count, task, args)
        before = place.server.cpu()
        drained = place.drain(loop)
        used = place.server.cpu() - before
    assert drained.tasks == count, f"{drained.tasks} of {count} tasks ran"
    return drained, used / count * 1e6


def measure(name: str, loop: str, scale: Scale) -> Iterator[Figure]:
    """From the first message received to the last one settled."""
    count = scale.pick(20_000, 10_000, 100)
    server_cpu: list[float] = []

    def run_raw() -> Time:
        with redis_server() as server:
            return redis_raw.on(server, redis_raw.drain, count, loop)

    def run_ours() -> Time:
        drained, used = drain(count, loop)
        server_cpu.append(used)
        return drained.time

    yield from beside_raw(name, count, run_raw, run_ours)
    yield from (Figure(f"{name}.server_cpu", used, "us/task") for used in server_cpu)


def _benchmark(name: str, loop: str) -> Benchmark:
    return Benchmark(name, partial(measure, name, loop), rounds=5)


BENCHMARKS = (_benchmark("redis.drain", "asyncio"), _benchmark("redis.drain_uvloop", "uvloop"))
