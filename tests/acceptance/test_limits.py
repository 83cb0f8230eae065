"""What may not start waits elsewhere: no slot of the worker, no retry, nobody behind it."""

import time
from collections import Counter
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from taskiq_core import (
    Concurrency,
    Context,
    InMemoryBroker,
    Rate,
    Retry,
    TaskiqDepends,
    TaskRetry,
    TaskStatus,
    call,
    gather,
)
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


class Gauge:
    """How many run at once, by name."""

    def __init__(self) -> None:
        self.running: Counter[Any] = Counter()
        self.most: Counter[Any] = Counter()

    async def stay(self, name: Any = "", seconds: float = 0.02) -> None:
        self.running[name] += 1
        self.most[name] = max(self.most[name], self.running[name])
        try:
            await anyio.sleep(seconds)
        finally:
            self.running[name] -= 1


async def test_so_many_at_once_and_no_more() -> None:
    broker, gauge = InMemoryBroker(), Gauge()

    @broker.task(limits=Concurrency(3))
    async def work() -> None:
        await gauge.stay()

    async with broker:
        await gather(*await work.kiq_many([call() for _ in range(40)]), timeout=20)
    assert gauge.most[""] == 3


async def test_so_many_starts_in_any_window() -> None:
    broker, starts = InMemoryBroker(), list[float]()

    @broker.task(limits=Rate(5, per=30))
    async def work() -> None:
        starts.append((t.now - t.start).total_seconds())

    async with taskiq_test(broker) as t:
        await gather(*await work.kiq_many([call() for _ in range(17)]), timeout=100)
    assert len(starts) == 17
    assert min(later - start for start, later in zip(starts, starts[5:], strict=False)) >= 30
    assert starts[-1] < 3 * 31


async def test_what_waits_is_in_nobodys_way_and_burns_no_retry() -> None:
    broker = InMemoryBroker(max_async_tasks=2)
    gate, attempts = anyio.Event(), list[tuple[int, dict[str, Any]]]()

    @broker.task(limits=[Concurrency(1), Rate(50, per=0.2)], retry=0)
    async def limited(ctx: Context = TaskiqDepends()) -> None:
        attempts.append((ctx.attempt, ctx.message.labels))
        await gate.wait()

    @broker.task
    async def free() -> str:
        return "passed"

    broker.with_records(broker.result_backend)
    async with broker:
        waiting = await limited.kiq_many([call() for _ in range(20)])
        assert await (await free.kiq()) == "passed"
        with anyio.fail_after(10):
            while (await broker.admin.depth("default")).delayed < 19:
                await broker.changed(1)
        assert await (await free.kiq()) == "passed"
        records = await broker.result_backend.get_records([handle.task_id for handle in waiting])
        assert Counter(record.status for record in records.values()) == {TaskStatus.RUNNING: 1, TaskStatus.PENDING: 19}
        gate.set()
        await gather(*waiting, timeout=20)
    assert attempts == [(1, {})] * 20


class Order(BaseModel):
    customer: str


async def test_each_key_has_a_limit_of_its_own() -> None:
    broker, gauge = InMemoryBroker(), Gauge()

    @broker.task(limits=[Concurrency(1, key="{order.customer}"), Concurrency(3)])
    async def ship(order: Order) -> None:
        await gauge.stay(order.customer)

    async with broker:
        await gather(*await ship.kiq_many([call(Order(customer=name)) for name in "abcd" * 5]), timeout=20)
    assert set(gauge.most.values()) == {1}


async def test_several_tasks_share_a_limit_by_name() -> None:
    broker, gauge = InMemoryBroker(), Gauge()

    @broker.task(limits=Concurrency(2, name="printer"))
    async def draw() -> None:
        await gauge.stay()

    @broker.task(limits=Concurrency(2, name="printer"))
    async def write() -> None:
        await gauge.stay()

    async with broker:
        await gather(*[await task.kiq() for task in (draw, write) * 10], timeout=20)
    assert gauge.most[""] == 2


async def test_a_retry_asks_again_and_gives_its_slot_up_meanwhile() -> None:
    broker, gauge, labels = InMemoryBroker(), Gauge(), list[set[str]]()

    @broker.task(limits=[Concurrency(1), Rate(3, per=0.1)], retry=Retry(2))
    async def work(ctx: Context = TaskiqDepends()) -> int:
        labels.append(set(ctx.message.labels))
        await gauge.stay(seconds=0.001)
        if ctx.attempt < 3:
            raise TaskRetry(delay=0)
        return ctx.attempt

    async with broker:
        results = await gather(*await work.kiq_many([call() for _ in range(5)]), timeout=30)
    assert [result.return_value for result in results] == [3] * 5
    assert gauge.most[""] == 1
    assert {name for names in labels for name in names} <= {"_retries", "_last_error"}


async def test_expired_messages_take_no_permit() -> None:
    broker, starts = InMemoryBroker(), list[int]()

    @broker.task(limits=Rate(1, per=600))
    async def work(number: int) -> None:
        starts.append(number)

    async with broker:
        late = await work.kicker().with_labels(expires_at=time.time() - 1).kiq(1)
        assert (await late.wait_result(timeout=10)).is_err
        await (await work.kiq(2)).wait_result(timeout=10)
    assert starts == [2]


async def test_a_message_without_a_key_fails_as_its_task_would() -> None:
    broker = InMemoryBroker()

    @broker.task(limits=Concurrency(1, key="{order.customer}"))
    async def ship(order: Order) -> None: ...

    async with broker:
        result = await (await ship.kiq({"customer": ["x"]})).wait_result(timeout=10)  # type: ignore[arg-type]
    assert "'order' does not fit" in str(result.error)
