"""Waiting for results of a worker in another process: one at a time, and a thousand at once."""

import gc
import time
from collections.abc import Iterator

import anyio

from benchmarks.figures import Benchmark, Figure, Scale, percentile
from benchmarks.workers import Arena, arena
from taskiq_core import call, gather


async def round_trips(place: Arena, count: int) -> list[float]:
    """Milliseconds from `kiq` to the value, with nothing else going on."""
    broker, task = place.client()
    times: list[float] = []
    async with broker:
        for _ in range(count + 10):
            begin = time.perf_counter()
            await (await task.kiq())
            times.append((time.perf_counter() - begin) * 1e3)
    return times[10:]


async def fans(place: Arena, width: int, count: int) -> list[float]:
    """Milliseconds from the call that sends `width` tasks to having all their results."""
    broker, task = place.client()
    times: list[float] = []
    async with broker:
        await (await task.kiq())
        for _ in range(count):
            gc.collect()
            begin = time.perf_counter()
            results = await gather(*await task.kiq_many([call() for _ in range(width)]), timeout=60)
            times.append((time.perf_counter() - begin) * 1e3)
            assert not any(result.is_err for result in results)
    return times


def measure_round_trip(scale: Scale) -> Iterator[Figure]:
    """Median and 99th percentile."""
    with arena() as place, place.worker():
        times = anyio.run(round_trips, place, scale.pick(500, 200, 5))
    for percent in (50, 99):
        yield Figure(f"sqlite.round_trip.p{percent}", percentile(times, percent), "ms")


def measure_fan(scale: Scale) -> Iterator[Figure]:
    """A thousand out and in, median of a few."""
    with arena() as place, place.worker():
        times = anyio.run(fans, place, scale.pick(1000, 1000, 20), scale.pick(7, 5, 1))
    yield Figure("sqlite.fan_out_in.p50", percentile(times, 50), "ms")


BENCHMARKS = (Benchmark("sqlite.round_trip", measure_round_trip), Benchmark("sqlite.fan_out_in", measure_fan))
