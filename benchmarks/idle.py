"""What a worker costs that has nothing to do."""

import time
from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks.figures import Benchmark, Figure, Scale
from benchmarks.waiting import round_trips
from benchmarks.workers import NewArena, cpu_seconds, tree


def measure(store: str, new_arena: NewArena, scale: Scale) -> Iterator[Figure]:
    """CPU of the supervisor and its worker process, in percent of one core."""
    seconds = scale.pick(10.0, 5.0, 0.1)
    with new_arena() as place, place.worker() as supervisor:
        anyio.run(round_trips, place, 1)
        time.sleep(scale.pick(1.0, 1.0, 0.0))  # until what the start-up has begun is done
        processes = tree(supervisor.pid)
        before = sum(map(cpu_seconds, processes))
        time.sleep(seconds)
        used = sum(map(cpu_seconds, processes)) - before
    yield Figure(f"{store}.idle.cpu", round(100 * used / seconds, 2), "%")


def idle(store: str, new_arena: NewArena) -> tuple[Benchmark, ...]:
    """It, on one kind of store."""
    return (Benchmark(f"{store}.idle", partial(measure, store, new_arena), rounds=1),)
