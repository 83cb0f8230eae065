"""One worker process works off a backlog on a server, results stored with a TTL on the same one."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio

from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.sending import fill
from benchmarks.stores import Store
from benchmarks.workers import Drained


def drain(
    store: Store[Any], count: int, loop: str = "asyncio", task: str = "noop", args: tuple[str, ...] = ()
) -> tuple[Drained, float]:
    """What a worker needed for `count` tasks of one kind, and the server's microseconds of CPU for each."""
    with store.arena() as place:
        anyio.run(fill, place, count, task, args)
        before = place.server.cpu()
        drained = place.drain(loop)
        used = place.server.cpu() - before
    assert drained.tasks == count, f"{drained.tasks} of {count} tasks ran"
    return drained, used / count * 1e6


def measure(store: Store[Any], name: str, loop: str, scale: Scale) -> Iterator[Figure]:
    """From the first message received to the last one settled."""
    count = scale.pick(20_000, 10_000, 100)
    server_cpu: list[float] = []

    def run_raw() -> Time:
        measured: Time = store.raw(store.drain, count, loop)
        return measured

    def run_ours() -> Time:
        drained, used = drain(store, count, loop)
        server_cpu.append(used)
        return drained.time

    yield from beside_raw(name, count, run_raw, run_ours)
    yield from (Figure(f"{name}.server_cpu", used, "us/task") for used in server_cpu)


def draining(store: Store[Any]) -> tuple[Benchmark, ...]:
    """On both event loops."""
    names = {f"{store.name}.drain": "asyncio", f"{store.name}.drain_uvloop": "uvloop"}
    return tuple(Benchmark(name, partial(measure, store, name, loop), rounds=5) for name, loop in names.items())
