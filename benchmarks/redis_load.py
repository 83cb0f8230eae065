"""How the rate of a worker on Redis depends on its tasks: how long they take, what they carry, how many wait behind them."""

import time
from collections.abc import Iterator

import anyio

from benchmarks.figures import Benchmark, Figure, Scale
from benchmarks.redis_drain import drain
from benchmarks.tasks import NAP

_SLOTS = 100
_PAYLOAD = "x" * 10_000


async def bare_naps(count: int) -> float:
    """How many naps a second 100 loops take that do nothing else: timers are late too."""

    async def nap() -> None:
        for _ in range(count // _SLOTS):
            await anyio.sleep(NAP)

    begin = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(_SLOTS):
            group.start_soon(nap)
    return count / (time.perf_counter() - begin)


def measure_naps(scale: Scale) -> Iterator[Figure]:
    """Tasks of 5 ms on uvloop, compared with what 100 slots could do if timers were exact, and with what they can do."""
    count = scale.pick(20_000, 10_000, 100)
    bare = anyio.run(bare_naps, count, backend="asyncio", backend_options={"use_uvloop": True})
    drained, _ = drain(count, "uvloop", "nap")
    rate = count / drained.time.wall
    yield Figure("redis.naps.rate", rate, "tasks/s")
    yield Figure("redis.naps.bare_rate", bare, "tasks/s")
    yield Figure("redis.naps.of_most", rate / (_SLOTS / NAP), "x")
    yield Figure("redis.naps.of_bare", rate / bare, "x")


def measure_payload(scale: Scale) -> Iterator[Figure]:
    """Tasks with an argument of 10,000 characters, compared with no-op tasks."""
    count = scale.pick(10_000, 5_000, 100)
    noop, _ = drain(count, "uvloop")
    take, _ = drain(count, "uvloop", "take", (_PAYLOAD,))
    yield Figure("redis.payload.rate", count / take.time.wall, "tasks/s")
    yield Figure("redis.payload.of_noop", noop.time.wall / take.time.wall, "x")


def measure_backlog(scale: Scale) -> Iterator[Figure]:
    """The rate while 95,000 to 75,000 tasks wait, compared with the rate of the same worker for the last 20,000."""
    count = scale.pick(100_000, 50_000, 10_000)
    drained, _ = drain(count, "uvloop")
    share = count // 5
    deep, shallow = drained.rate(share // 4, share // 4 + share), drained.rate(count - share, count)
    yield Figure("redis.backlog.deep_rate", deep, "tasks/s")
    yield Figure("redis.backlog.shallow_rate", shallow, "tasks/s")
    yield Figure("redis.backlog.deep_of_shallow", deep / shallow, "x")


BENCHMARKS = (
    Benchmark("redis.naps", measure_naps),
    Benchmark("redis.payload", measure_payload),
    Benchmark("redis.backlog", measure_backlog),
)
