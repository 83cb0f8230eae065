"""Callbacks, events and batches in virtual time, on brokers whose servers do not exist."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from taskiq_core import (
    Batch,
    Retry,
    TaskEvent,
    TaskFailed,
    TaskFailure,
    TaskRetrying,
    TaskStarted,
    TaskSucceeded,
    broker_from_url,
    call,
)
from taskiq_core.broker import AsyncBroker
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["memory://", "sqlite:////no/such/folder/jobs.db", "redis://no-such-host:1/0"])
def broker(request: pytest.FixtureRequest) -> AsyncBroker:
    return broker_from_url(request.param)


async def test_somebody_is_alerted_after_the_last_retry(broker: AsyncBroker) -> None:
    alerts: list[tuple[timedelta, str]] = []

    @broker.task
    async def alert(task_id: str, exception: str, traceback: str) -> None:
        assert "raise OSError" in traceback
        alerts.append((t.now - START, exception))

    @broker.task(retry=Retry(2, delay=60), on_failure=alert)
    async def deliver() -> None:
        raise OSError("closed")

    async with taskiq_test(broker, start=START) as t:
        handle = await deliver.kiq()
        await t.advance(119)
        assert not t.sent(alert)
        await t.advance(1)
        assert alerts == [(timedelta(minutes=2), "OSError: closed")]
        assert [sent.task_id for sent in t.sent(alert)] == [f"{handle.task_id}:failed"]


async def test_a_worker_that_dies_after_its_callback_sends_it_again_under_the_same_id(broker: AsyncBroker) -> None:
    told: list[str] = []

    @broker.task(delay=60)
    async def tell(task_id: str, result: int) -> None:
        told.append(task_id)

    @broker.task(on_success=tell)
    async def work() -> int:
        return 1

    async with taskiq_test(broker, start=START, lease=30) as t:
        t.fail_next("settle")
        handle = await work.kiq()
        await t.advance(0.01)  # and the worker has not tried again
        assert len(t.sent(tell)) == 1
        await t.crash_worker()
        await t.drain()
        assert len(t.sent(tell)) == 2
        assert {sent.task_id for sent in t.sent(tell)} == {f"{handle.task_id}:succeeded"}
        assert told == [handle.task_id]


async def test_events_have_the_time_at_which_they_happened(broker: AsyncBroker) -> None:
    heard: list[tuple[type[TaskEvent], float]] = []

    @broker.on(TaskStarted, TaskRetrying, TaskFailed)
    def listen(event: TaskStarted | TaskRetrying | TaskFailure) -> None:
        heard.append((type(event), event.at - START.timestamp()))

    @broker.task(retry=Retry(1, delay=100))
    async def work() -> None:
        await anyio.sleep(5)
        raise OSError

    async with taskiq_test(broker, start=START) as t:
        await work.kiq()
        await t.drain()
    assert heard == [(TaskStarted, 0), (TaskRetrying, 5), (TaskStarted, 105), (TaskFailure, 110)]


async def test_a_batch_waits_for_its_time_and_no_longer(broker: AsyncBroker) -> None:
    batches: list[tuple[float, list[int]]] = []
    ends: list[float] = []

    @broker.on(TaskSucceeded)
    def listen(event: TaskSucceeded) -> None:
        ends.append(event.at - START.timestamp())

    @broker.task(batch=Batch(3, within=600), retry=Retry(1, delay=3600))
    async def index(numbers: list[int]) -> list[int | Exception]:
        batches.append(((t.now - START).total_seconds(), numbers))
        return [OSError() if number == 2 and len(batches) < 3 else number for number in numbers]

    async with taskiq_test(broker, start=START) as t:
        await index.kiq_many([call(n) for n in range(4)])
        await t.advance(100)
        await index.kiq(4)
        await t.drain()
        assert batches == [(0, [0, 1, 2]), (600, [3, 4]), (4200, [2])]
    assert ends == [0, 0, 600, 600, 4200]
