"""What a limit costs that never binds: the same drain with it and without, and how often shared state is asked."""

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import anyio

from benchmarks.clock import Time
from benchmarks.figures import Benchmark, Figure, Scale
from benchmarks.redis_server import redis_server
from benchmarks.sending import in_bulk
from benchmarks.stopwatch import Stopwatch
from taskiq_core import AsyncBroker, InMemoryBroker, Rate, broker_from_url
from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Coordinator
from taskiq_core.worker import Worker, WorkerSettings

_SLOTS = 100
_NEVER = Rate(10_000_000, per=1.0)

NewBroker = Callable[[], AbstractContextManager[AsyncBroker]]


class Calls:
    """Counts what a coordinator is asked."""

    def __init__(self, coordinator: Coordinator | None) -> None:
        assert coordinator is not None
        self.count = self.messages = 0
        admit = coordinator.admit

        async def counted(requests: Sequence[AdmissionRequest]) -> list[Admission]:
            self.count += 1
            self.messages += len(requests)
            return await admit(requests)

        coordinator.admit = counted


@contextmanager
def memory_broker() -> Generator[AsyncBroker]:
    """One that does no I/O."""
    yield InMemoryBroker()


@contextmanager
def redis_broker() -> Generator[AsyncBroker]:
    """One on a new server."""
    with redis_server() as server:
        yield broker_from_url(server.url)


async def drain(broker: AsyncBroker, count: int, limit: Rate | None) -> tuple[Time, Calls]:
    """Have a worker in this process work off a backlog of no-op tasks."""
    broker.is_worker_process = True
    watch = Stopwatch.on(broker)
    calls = Calls(broker.coordinator)

    @broker.task("task", limits=limit)
    async def task() -> None:
        """The cheapest task."""

    async with broker:
        await in_bulk(task, count)
        gc.collect()
        await Worker(broker, WorkerSettings(burst=True, concurrency=_SLOTS)).serve()
    assert watch.tasks == count, f"{watch.tasks} of {count} tasks ran"
    assert calls.messages == (0 if limit is None else count)
    return watch.time, calls


def measure(name: str, new_broker: NewBroker, scale: Scale) -> Iterator[Figure]:
    """Without, with, and without again: the machine's mood is shared."""
    count = scale.pick(20_000, 10_000, 200)

    def run(limit: Rate | None) -> tuple[Time, Calls]:
        with new_broker() as broker:
            return anyio.run(drain, broker, count, limit)

    (before, _), (limited, calls), (after, _) = run(None), run(_NEVER), run(None)
    plain = (before.cpu + after.cpu) / 2
    yield Figure(f"{name}.cpu", limited.cpu / count * 1e6, "us/task")
    yield Figure(f"{name}.plain_cpu", plain / count * 1e6, "us/task")
    yield Figure(f"{name}.cpu_of_plain", plain / limited.cpu, "x")
    yield Figure(f"{name}.calls_per_batch", calls.count / (count / _SLOTS), "x")


BENCHMARKS = (
    Benchmark("limits.memory", partial(measure, "limits.memory", memory_broker), rounds=5),
    Benchmark("limits.redis", partial(measure, "limits.redis", redis_broker), rounds=5),
)
