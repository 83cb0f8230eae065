"""Sending to a server: one by one, many at once, in bulk."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio

from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.sending import Send, concurrently, in_bulk, singly, timed
from benchmarks.stores import Raw, Store


def measure(store: Store[Any], name: str, send: Send, raw: Raw, counts: tuple[int, int, int], scale: Scale) -> Iterator[Figure]:
    """One way to send, beside a raw loop of the same kind."""
    count = scale.pick(*counts)

    def run_raw() -> Time:
        measured: Time = store.raw(raw, count)
        return measured

    def run_ours() -> Time:
        with store.arena() as place:
            return anyio.run(timed, place, send, count)

    yield from beside_raw(name, count, run_raw, run_ours)


def enqueueing(store: Store[Any]) -> tuple[Benchmark, ...]:
    """Each way, on one kind of server."""
    ways: tuple[tuple[str, Send, Raw, tuple[int, int, int]], ...] = (
        ("send_singly", singly, store.add_singly, (5_000, 2_000, 20)),
        ("send_concurrently", concurrently, store.add_in_batches, (20_000, 5_000, 200)),
        ("send_in_bulk", in_bulk, store.add_in_batches, (50_000, 20_000, 100)),
    )
    names = [(f"{store.name}.{name}", *rest) for name, *rest in ways]
    return tuple(Benchmark(name, partial(measure, store, name, *rest)) for name, *rest in names)
