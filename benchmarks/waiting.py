"""Waiting for results of a worker in another process: one at a time, and a thousand at once."""

import gc
import time
from collections.abc import Iterator
from functools import partial

import anyio

from benchmarks.figures import Benchmark, Figure, Scale, percentile
from benchmarks.workers import Arena, NewArena
from taskiq_core import call, gather


async def round_trips(place: Arena, count: int) -> list[float]:
    """Milliseconds from `kiq` to the value, with nothing else going on."""
    broker, tasks = place.client()
    times: list[float] = []
    async with broker:
        for _ in range(count + 10):
            begin = time.perf_counter()
            await (await tasks.noop.kiq())
            times.append((time.perf_counter() - begin) * 1e3)
    return times[10:]


async def fans(place: Arena, width: int, count: int) -> list[float]:
    """Milliseconds from the call that sends `width` tasks to having all their results."""
    broker, tasks = place.client()
    times: list[float] = []
    async with broker:
        await (await tasks.noop.kiq())
        for _ in range(count):
            gc.collect()
            begin = time.perf_counter()
            results = await gather(*await tasks.noop.kiq_many([call() for _ in range(width)]), timeout=60)
            times.append((time.perf_counter() - begin) * 1e3)
            assert not any(result.is_err for result in results)
    return times


def measure_round_trip(store: str, new_arena: NewArena, scale: Scale) -> Iterator[Figure]:
    """Median and 99th percentile."""
    with new_arena() as place, place.worker():
        times = anyio.run(round_trips, place, scale.pick(500, 200, 5))
    p50, p99 = percentile(times, 50), percentile(times, 99)
    yield Figure(f"{store}.round_trip.p50", p50, "ms")
    yield Figure(f"{store}.round_trip.p99", p99, "ms")
    yield Figure(f"{store}.round_trip.p99_of_p50", p99 / p50, "x")


def measure_fan(store: str, new_arena: NewArena, scale: Scale) -> Iterator[Figure]:
    """A thousand out and in, median of a few."""
    with new_arena() as place, place.worker():
        times = anyio.run(fans, place, scale.pick(1000, 1000, 20), scale.pick(7, 5, 1))
    yield Figure(f"{store}.fan_out_in.p50", percentile(times, 50), "ms")


def waiting(store: str, new_arena: NewArena) -> tuple[Benchmark, ...]:
    """Both, on one kind of store."""
    return (
        Benchmark(f"{store}.round_trip", partial(measure_round_trip, store, new_arena)),
        Benchmark(f"{store}.fan_out_in", partial(measure_fan, store, new_arena)),
    )
