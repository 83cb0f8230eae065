"""How the rate of a worker on a server depends on its tasks: how long they take, what they carry, how many wait behind them."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio

from benchmarks.figures import Benchmark, Figure, Scale
from benchmarks.server_drain import drain
from benchmarks.stores import Store
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


def measure_naps(store: Store[Any], scale: Scale) -> Iterator[Figure]:
    """Tasks of 5 ms on uvloop, compared with what 100 slots could do if timers were exact, and with what they can do."""
    count = scale.pick(20_000, 10_000, 100)
    bare = anyio.run(bare_naps, count, backend="asyncio", backend_options={"use_uvloop": True})
    drained, _ = drain(store, count, "uvloop", "nap")
    rate = count / drained.time.wall
    yield Figure(f"{store.name}.naps.rate", rate, "tasks/s")
    yield Figure(f"{store.name}.naps.bare_rate", bare, "tasks/s")
    yield Figure(f"{store.name}.naps.of_most", rate / (_SLOTS / NAP), "x")
    yield Figure(f"{store.name}.naps.of_bare", rate / bare, "x")


def measure_payload(store: Store[Any], scale: Scale) -> Iterator[Figure]:
    """Tasks with an argument of 10,000 characters, compared with no-op tasks."""
    count = scale.pick(10_000, 5_000, 100)
    noop, _ = drain(store, count, "uvloop")
    take, _ = drain(store, count, "uvloop", "take", (_PAYLOAD,))
    yield Figure(f"{store.name}.payload.rate", count / take.time.wall, "tasks/s")
    yield Figure(f"{store.name}.payload.of_noop", noop.time.wall / take.time.wall, "x")


def measure_backlog(store: Store[Any], scale: Scale) -> Iterator[Figure]:
    """The rate while 95,000 to 75,000 tasks wait, compared with the rate of the same worker for the last 20,000."""
    count = scale.pick(100_000, 50_000, 5_000)
    drained, _ = drain(store, count, "uvloop")
    share = count // 5
    deep, shallow = drained.rate(share // 4, share // 4 + share), drained.rate(count - share, count)
    yield Figure(f"{store.name}.backlog.deep_rate", deep, "tasks/s")
    yield Figure(f"{store.name}.backlog.shallow_rate", shallow, "tasks/s")
    yield Figure(f"{store.name}.backlog.deep_of_shallow", deep / shallow, "x")


def load(store: Store[Any]) -> tuple[Benchmark, ...]:
    """All of it, on one kind of server."""
    return (
        Benchmark(f"{store.name}.naps", partial(measure_naps, store)),
        Benchmark(f"{store.name}.payload", partial(measure_payload, store)),
        Benchmark(f"{store.name}.backlog", partial(measure_backlog, store)),
    )
