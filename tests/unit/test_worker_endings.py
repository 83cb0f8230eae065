"""How runs end at the edges: early and manual acks, runaway threads, self-cancelled tasks, a failing broker."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import anyio
import anyio.to_thread
import pytest

from taskiq_core import (
    AcknowledgeType,
    Context,
    InMemoryBroker,
    Subscription,
    TaskiqDepends,
    Verdict,
    Worker,
    WorkerSettings,
    call,
    gather,
)
from taskiq_core.brokers.inmemory import MemorySubscription
from taskiq_core.delivery import Delivery, Settlement

pytestmark = pytest.mark.anyio


async def test_stopping_lets_running_tasks_finish_and_gives_back_the_others() -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True
    started, gate = anyio.Event(), anyio.Event()

    @broker.task
    async def work(n: int) -> int:
        started.set()
        await gate.wait()
        return n

    async with broker, anyio.create_task_group() as group:
        handles = await work.kiq_many([call(n) for n in range(10)])
        worker = Worker(broker, WorkerSettings(concurrency=2, prefetch=5, grace=30))
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            await started.wait()
            worker.stop()
            while (await broker.admin.depth("default")).ready < 8:
                await broker.changed(None)
            gate.set()
            first, second = await gather(handles[0], handles[1])
    assert (first.return_value, second.return_value) == (0, 1)
    assert (await broker.admin.depth("default")).leased == 0


@pytest.mark.parametrize("ack_type", ["when_received", "when_executed"])
async def test_an_early_ack_reaches_the_broker_while_or_before_the_task_ends(ack_type: str) -> None:
    broker = InMemoryBroker()
    depths: list[int] = []

    @broker.task(ack_type=ack_type)
    async def look() -> None:
        depths.append((await broker.admin.depth("default")).leased)

    async with broker:
        await (await look.kiq())
    assert depths == [0 if ack_type == "when_received" else 1]


async def test_a_retry_after_an_early_ack_is_a_new_send() -> None:
    broker = InMemoryBroker()
    attempts: list[int] = []

    @broker.task(ack_type="when_received", retry=1)
    async def flaky(ctx: Context = TaskiqDepends()) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            raise ValueError
        return "done"

    async with broker:
        assert await (await flaky.kiq()) == "done"
    assert attempts == [1, 2]


async def test_manual_ack_is_left_to_the_task() -> None:
    broker = InMemoryBroker()

    @broker.task(ack_type=AcknowledgeType.MANUAL)
    async def work(ack: bool, ctx: Context = TaskiqDepends()) -> bool:
        assert ctx.is_ackable
        if ack:
            await ctx.ack()
            await ctx.ack()
        return ctx.is_acked

    async with broker:
        assert await (await work.kiq(True)) is True
        assert (await broker.admin.depth("default")).leased == 0
        assert await (await work.kiq(False)) is False
        assert (await broker.admin.depth("default")).leased == 1


async def test_an_invalid_ack_type_label_is_an_error_result() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def work() -> None: ...

    async with broker:
        result = await (await work.kicker().with_labels(ack_type="whenever").kiq()).wait_result(timeout=5)
    assert "Invalid ack_type label" in str(result.error)


async def test_a_thread_that_outlives_its_timeout_is_counted_and_its_slot_is_free() -> None:
    broker = InMemoryBroker(max_async_tasks=1)
    gate = threading.Event()

    @broker.task(timeout=0.05)
    def stuck() -> None:
        gate.wait(20)

    @broker.task
    async def after() -> int:
        return 1

    async with broker:
        result = await (await stuck.kiq()).wait_result(timeout=10)
        assert isinstance(result.error, TimeoutError)
        assert await (await after.kiq()) == 1
        threads = broker._worker._receiver.threads  # type: ignore[union-attr]
        assert threads.runaways == 1
        gate.set()
        with anyio.fail_after(5):
            while threads.runaways:
                await anyio.sleep(0.01)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio gives tasks no way to do this
async def test_a_task_that_cancels_itself_ends_as_cancelled_and_the_slot_goes_on() -> None:
    broker = InMemoryBroker(max_async_tasks=1)

    @broker.task
    async def awaits_something_cancelled() -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    @broker.task
    async def cancels_its_task() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    @broker.task
    async def after() -> int:
        return 1

    async with broker:
        result = await (await cancels_its_task.kiq()).wait_result(timeout=5)
        assert type(result.error).__name__ == "TaskCancelledError"
        result = await (await awaits_something_cancelled.kiq()).wait_result(timeout=5)
        assert type(result.error).__name__ == "TaskCancelledError"
        assert await (await after.kiq()) == 1


async def test_a_broker_that_fails_for_a_while_costs_nothing() -> None:
    class Trouble(MemorySubscription):
        failures = 3

        async def receive(self, limit: int) -> Sequence[Delivery]:
            self._fail()
            return await super().receive(limit)

        async def settle(self, settlements: Sequence[Settlement]) -> None:
            self._fail()
            await super().settle(settlements)

        def _fail(self) -> None:
            if self.failures:
                self.failures -= 1
                raise ConnectionResetError("gone")

    class Broker(InMemoryBroker):
        def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            return Trouble(self, queues, self._lease)

    broker = Broker()
    runs: list[int] = []

    @broker.task
    async def work() -> None:
        runs.append(1)

    async with broker:
        await (await work.kiq())
        with anyio.fail_after(10):
            await broker.wait_all()
    assert runs == [1], "a finished task whose verdict could not be sent is not run again"


async def test_every_verdict_is_sent_once() -> None:
    sent: list[Verdict] = []

    class Watch(MemorySubscription):
        async def settle(self, settlements: Sequence[Settlement]) -> None:
            sent.extend(item.verdict for item in settlements)
            await super().settle(settlements)

    class Broker(InMemoryBroker):
        def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            return Watch(self, queues, self._lease)

    broker = Broker()

    @broker.task
    async def work(n: int) -> Any:
        if n % 3 == 0:
            await anyio.lowlevel.checkpoint()
        if n % 5 == 0:
            raise ValueError(n)

    async with broker:
        await gather(*await work.kiq_many([call(n) for n in range(200)]), timeout=10)
        await broker.wait_all()
    assert sent == [Verdict.ACK] * 200
