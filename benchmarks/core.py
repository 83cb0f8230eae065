"""The framework alone: the real worker on a queue in memory, with no I/O; beside the smallest loop that does the same."""

import gc
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import msgpack as _untyped_msgpack

from benchmarks.clock import Time, now, since
from benchmarks.figures import Benchmark, Figure, Scale, beside_raw
from benchmarks.stopwatch import Stopwatch
from taskiq_core import Context, InMemoryBroker, TaskiqDepends, call
from taskiq_core.worker import Worker, WorkerSettings

msgpack: Any = _untyped_msgpack  # the package ships no types

_LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


async def noop() -> None:
    """The cheapest task."""


async def take_int(number: int) -> int:
    """Has an argument that is validated, and a value."""
    return number


async def take_context(context: Context = TaskiqDepends()) -> None:
    """Has a dependency."""


async def suspend() -> None:
    """Gives the loop away once."""
    await anyio.sleep(0)


_TASKS: dict[str, tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = {
    "noop": (noop, ()),
    "int_argument": (take_int, (7,)),
    "context": (take_context, ()),
    "suspending": (suspend, ()),
}


async def run_worker(function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], count: int) -> Time:
    """Have a worker with 100 slots work off `count` tasks, results stored."""
    broker = InMemoryBroker(max_stored_results=count)
    broker.is_worker_process = True  # no worker in the background: we bring our own
    watch = Stopwatch.on(broker)
    task = broker.task("task")(function)
    async with broker:
        await task.kiq_many([call(*arguments) for _ in range(count)])
        gc.collect()
        await Worker(broker, WorkerSettings(burst=True, concurrency=100)).serve()
    assert watch.tasks == count, f"{watch.tasks} of {count} tasks ran"
    return watch.time


async def run_raw(function: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...], count: int) -> Time:
    """Decode, call, encode and keep the result, with nothing else."""
    tasks, results = {"task": function}, dict[str, bytes]()
    queue = deque(msgpack.packb([1, f"{i:032x}", "task", {}, arguments, {}]) for i in range(count))
    gc.collect()
    begin = now()
    while queue:
        _, task_id, name, labels, args, kwargs = msgpack.unpackb(queue.popleft())
        value = await tasks[name](*args, **kwargs)
        results[task_id] = msgpack.packb([1, False, value, 0.0, labels, None, None])
    return since(begin)


def measure(name: str, task: str, loop: str, scale: Scale) -> Iterator[Figure]:
    """One task on one event loop."""
    function, arguments = _TASKS[task]
    count = scale.pick(30_000, 10_000, 50)
    yield from beside_raw(
        name,
        count,
        raw=lambda: anyio.run(run_raw, function, arguments, count, **_LOOPS[loop]),
        ours=lambda: anyio.run(run_worker, function, arguments, count, **_LOOPS[loop]),
    )


def _benchmark(name: str, task: str, loop: str) -> Benchmark:
    return Benchmark(name, partial(measure, name, task, loop), rounds=5)


BENCHMARKS = (
    *(_benchmark(f"core.{task}", task, "asyncio") for task in _TASKS),
    *(_benchmark(f"core.{loop}", "noop", loop) for loop in ("uvloop", "trio")),
)
