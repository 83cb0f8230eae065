"""The worker's rooms at work: isolation, credit, acknowledging, stopping."""

import contextvars
from collections.abc import Sequence

import anyio
import anyio.to_thread
import pytest

from taskiq_core import (
    InMemoryBroker,
    Subscription,
    Worker,
    WorkerSettings,
    call,
    gather,
)
from taskiq_core.brokers.inmemory import MemorySubscription
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.exceptions import ConfigurationError

pytestmark = pytest.mark.anyio

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="untouched")


async def test_a_task_never_sees_what_another_one_set_in_a_context_variable() -> None:
    broker = InMemoryBroker(max_async_tasks=1)

    @broker.task
    async def touch(name: str) -> str:
        before = seen.get()
        seen.set(name)
        await anyio.lowlevel.checkpoint()
        assert seen.get() == name
        return before

    @broker.task
    def touch_in_thread(name: str) -> str:
        before = seen.get()
        seen.set(name)
        return before

    async with broker:
        for task in (touch, touch_in_thread):
            handles = await task.kiq_many([call(str(i)) for i in range(20)])
            assert {result.return_value for result in await gather(*handles, timeout=10)} == {"untouched"}


async def test_slots_bound_concurrency_and_all_of_them_work() -> None:
    broker = InMemoryBroker(max_async_tasks=7)
    running, most = 0, 0

    @broker.task
    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.01)
        running -= 1

    async with broker:
        await gather(*await count.kiq_many([call()] * 50), timeout=10)
    assert most == 7


async def test_a_slow_task_does_not_hold_up_fast_ones() -> None:
    broker = InMemoryBroker(max_async_tasks=2)
    gate = anyio.Event()

    @broker.task
    async def slow() -> str:
        await gate.wait()
        return "slow"

    @broker.task
    async def fast(n: int) -> int:
        return n

    async with broker:
        first = await slow.kiq()
        others = await fast.kiq_many([call(n) for n in range(300)])
        results = await gather(*others, timeout=10)
        assert [result.return_value for result in results] == list(range(300))
        gate.set()
        assert await first == "slow"


class Counting(InMemoryBroker):
    """Remembers how many deliveries were out at most."""

    out = 0
    most = 0
    limits: list[int]

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return CountingSubscription(self, queues, self._lease)


class CountingSubscription(MemorySubscription):
    _broker: Counting

    async def receive(self, limit: int) -> Sequence[Delivery]:
        deliveries = await super().receive(limit)
        assert len(deliveries) <= limit
        self._broker.out += len(deliveries)
        self._broker.most = max(self._broker.most, self._broker.out)
        return deliveries

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await super().settle(settlements)
        self._broker.out -= len(settlements)


@pytest.mark.parametrize("prefetch", [0, 5])
async def test_credit_bounds_what_the_worker_holds(prefetch: int) -> None:
    broker = Counting()
    broker.is_worker_process = True

    @broker.task
    async def work() -> None:
        await anyio.lowlevel.checkpoint()

    async with broker:
        await work.kiq_many([call()] * 500)
        await Worker(broker, WorkerSettings(concurrency=10, prefetch=prefetch, burst=True)).serve()
        assert broker.most == 10 + prefetch
        assert (await broker.admin.depth("default")).ready == 0


async def test_long_tasks_are_not_hoarded_by_the_adaptive_prefetch() -> None:
    broker = Counting()
    broker.is_worker_process = True

    @broker.task
    async def work() -> None:
        await anyio.sleep(0.05)

    async with broker:
        await work.kiq_many([call()] * 60)
        await Worker(broker, WorkerSettings(concurrency=10, burst=True)).serve()
    assert broker.most <= 2 * 10


async def test_max_tasks_runs_exactly_so_many_and_leaves_the_rest_for_others() -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True
    runs: list[int] = []

    @broker.task
    async def work(n: int) -> None:
        runs.append(n)

    async with broker:
        await work.kiq_many([call(n) for n in range(20)])
        worker = Worker(broker, WorkerSettings(concurrency=4, max_tasks=6))
        await worker.serve()
        assert worker.stopped_because == "max_tasks"
        assert sorted(runs) == list(range(6))
        assert (await broker.admin.depth("default")).ready == 14


async def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"concurrency": 0}, {"prefetch": -1}, {"queues": ()}, {"max_tasks": 0}, {"grace": -1}):
        with pytest.raises(ConfigurationError):
            WorkerSettings(**wrong)  # type: ignore[arg-type]
