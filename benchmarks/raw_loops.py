"""What the loops written by hand over different clients share."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgpack as _untyped_msgpack

from benchmarks.clock import Time, now, since

msgpack: Any = _untyped_msgpack  # the package ships no types

Send = Callable[[bytes], Awaitable[Any]]
"""Returns when a body is stored."""


def bodies(count: int) -> Iterator[bytes]:
    """Like those of the framework, made while they are consumed."""
    return (msgpack.packb([1, f"{i:032x}", "noop", {}, [], {}]) for i in range(count))


async def _noop() -> None:
    return None


_TASKS = {"noop": _noop}


async def call(body: bytes) -> tuple[str, bytes]:
    """Call what a body asks for; returns its id and its result, packed."""
    _, task_id, name, labels, args, kwargs = msgpack.unpackb(body)
    value = await _TASKS[name](*args, **kwargs)
    return task_id, msgpack.packb([1, False, value, 0.0, labels, None, None])


async def singly(send: Send, count: int) -> Time:
    """Each waits for the one before."""
    begin = now()
    for body in bodies(count):
        await send(body)
    return since(begin)


async def trips(send: Send, answer: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    """Milliseconds from each send to its answer."""
    times: list[float] = []
    for body in bodies(count):
        begin = time.perf_counter()
        await send(body)
        await answer()
        times.append((time.perf_counter() - begin) * 1e3)
    return times
