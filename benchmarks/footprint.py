"""Whether a worker's memory grows with the backlog or with what it has done."""

from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks.figures import Benchmark, Figure, Scale
from benchmarks.sending import fill
from benchmarks.waiting import round_trips
from benchmarks.workers import Arena, NewArena, memory, tree


async def watch(place: Arena, pid: int, count: int) -> tuple[float, float]:
    """Megabytes held by a worker process when it has done a tenth of `count` tasks, and when it has done all."""
    broker, _ = place.client()
    early: float | None = None
    async with broker:
        assert broker.admin is not None
        while True:
            depth = await broker.admin.depth("default")
            left = depth.ready + depth.leased
            if early is None and left <= 0.9 * count:
                early = memory(pid)[0]
            if not left:
                break
            await anyio.sleep(0.2)
    now = memory(pid)[0]
    return now if early is None else early, now


def measure(store: str, new_arena: NewArena, scale: Scale) -> Iterator[Figure]:
    """Megabytes with next to nothing to do, with a backlog, and after it."""
    count = scale.pick(200_000, 30_000, 200)
    with new_arena() as place, place.worker() as supervisor:
        anyio.run(round_trips, place, scale.pick(200, 200, 5))
        base = memory(tree(supervisor.pid)[-1])[0]
    with new_arena() as place:
        anyio.run(fill, place, count)
        with place.worker() as supervisor:
            anyio.run(round_trips, place, 1)
            worker = tree(supervisor.pid)[-1]
            early, late = anyio.run(watch, place, worker, count)
            most = memory(worker)[1]
    yield Figure(f"{store}.memory.base", base, "MB")
    yield Figure(f"{store}.memory.backlog_most", most, "MB")
    yield Figure(f"{store}.memory.backlog_growth", most / base, "x")
    yield Figure(f"{store}.memory.flat", late / early, "x")


def footprint(store: str, new_arena: NewArena) -> tuple[Benchmark, ...]:
    """It, on one kind of store."""
    return (Benchmark(f"{store}.memory", partial(measure, store, new_arena), rounds=1),)
