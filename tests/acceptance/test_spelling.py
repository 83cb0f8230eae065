"""The spelling that the framework promises: every option at once on one task, sending, inside a task, events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import anyio
import pytest

from taskiq_core import (
    ArgumentError,
    Concurrency,
    Context,
    Cron,
    InMemoryBroker,
    Progress,
    Rate,
    Retry,
    TaskCancelled,
    TaskCancelledError,
    TaskEvent,
    TaskFailed,
    TaskiqDepends,
    TaskRetry,
    TaskRetrying,
    TaskStarted,
    TaskSucceeded,
    Unique,
    Worker,
    call,
    gather,
)
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.testing import TaskiqTest, taskiq_test

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)
BACKUP = UUID(int=1)

broker = InMemoryBroker()
alerts: list[str] = []
told: list[str] = []


class InventoryError(Exception):
    """Retried."""


class PaymentError(Exception):
    """Never retried."""


@dataclass
class Receipt:
    order_id: UUID
    attempt: int


@broker.task
async def alert(task_id: str, exception: str, traceback: str) -> None:
    alerts.append(exception)


@broker.task(
    "process_order", queue="default", priority=5,
    retry=Retry(3, delay=60, backoff="exponential", max_delay=600, jitter=True, on=(InventoryError,), never=(PaymentError,)),
    timeout=300, limits=[Concurrency(10), Rate(100, per=60, key="{phone}")],
    store_result=True, result_ttl=3600, on_failure=alert, unique=Unique(key="{order_id}", ttl=600), expires=86400,
    schedule=[Cron("0 2 * * *", tz="Europe/Berlin", name="daily_backup", args=(str(BACKUP),))],
    team="billing",
)  # fmt: skip
async def process_order(
    order_id: UUID, phone: str = "none", *, ctx: Context = TaskiqDepends(), progress: Progress = TaskiqDepends()
) -> Receipt:
    await progress.set(50, message="half")
    if phone == "unpaid":
        raise PaymentError("refused")
    if phone == "empty" and ctx.attempt < 3:
        raise InventoryError
    return Receipt(order_id, ctx.attempt)


@broker.task(executor="thread", retry=3)
def restless(how: str, ctx: Context = TaskiqDepends()) -> int:
    if how == "again" and ctx.attempt == 1:
        raise TaskRetry(delay=120)
    if how == "never":
        raise TaskFailed("why")
    return ctx.attempt


@broker.task
async def unsure(how: str, ctx: Context = TaskiqDepends()) -> str:
    assert ctx.broker is broker
    assert ctx.state is broker.state
    if how == "bad":
        ctx.reject("why not")
    if not told.count("requeued"):
        told.append("requeued")
        await ctx.requeue(delay=30)
    return str(ctx.message.args[0])


@broker.on(TaskStarted, TaskSucceeded, TaskFailed, TaskRetrying, TaskCancelled)
async def hear(event: TaskEvent) -> None:
    told.append(type(event).__name__)


@pytest.fixture
async def t() -> AsyncIterator[TaskiqTest]:
    alerts.clear()
    told.clear()
    async with taskiq_test(broker, start=START) as t:
        yield t


async def test_every_option_at_once(t: TaskiqTest) -> None:
    order = uuid4()
    handle = await process_order.kiq(order)
    assert (handle.outcome, (await process_order.kiq(order)).outcome) == ("queued", "duplicate")
    assert await handle == Receipt(order, 1)
    result = await handle.wait_result(timeout=10)
    assert (result.is_err, result.return_value, result.error) == (False, Receipt(order, 1), None)
    assert result.labels["team"] == "billing"
    progress = await handle.get_progress()
    assert progress is not None
    assert (progress.current, progress.total, progress.message) == (50, 100, "half")


async def test_retries_and_failures(t: TaskiqTest) -> None:
    retried = await process_order.kiq(uuid4(), "empty")
    refused = await process_order.kiq(uuid4(), phone="unpaid")
    with pytest.raises(ArgumentError):  # its key cannot be made
        await broker.kicker("process_order").kiq("no id at all")
    assert (await retried).attempt == 3
    assert timedelta(seconds=90) <= t.now - START <= timedelta(seconds=180)
    assert isinstance((await refused.wait_result()).error, PaymentError)
    await t.run()
    assert alerts == ["PaymentError: refused"]


async def test_its_schedule(t: TaskiqTest) -> None:
    await t.scheduler()
    await t.advance(days=1)
    assert [sent.at.isoformat() for sent in t.sent(process_order)] == ["2030-01-01T01:00:00+00:00"]


async def test_sending(t: TaskiqTest) -> None:
    vip = process_order.kicker().with_queue("vip").with_priority(9).with_delay(timedelta(hours=1))
    later = await vip.kiq(uuid4())
    at_nine = await process_order.kicker().with_eta(datetime(2030, 1, 1, 9, tzinfo=UTC)).kiq(uuid4())
    assert t.sent(process_order).where(queue="vip", priority=9, delay=timedelta(hours=1))
    h1, h2 = await process_order.kiq_many([call(uuid4()), call(uuid4())])
    results = await gather(h1, h2, process_order.kiq(uuid4()), timeout=30)
    assert [result.return_value.attempt for result in results] == [1, 1, 1]
    await later.cancel(reason="user")
    with pytest.raises(TaskCancelledError, match="user"):
        await later
    await at_nine
    assert t.now.hour == 9
    sync = await anyio.to_thread.run_sync(process_order.kiq_sync, uuid4())
    assert (await sync).attempt == 1


async def test_inside_a_task(t: TaskiqTest) -> None:
    assert await (await restless.kiq("again")) == 2
    assert t.now - START == timedelta(seconds=120)
    with pytest.raises(TaskFailed, match="why"):
        await (await restless.kiq("never"))
    assert await (await unsure.kiq("good")) == "good"
    assert t.now - START == timedelta(seconds=150)
    assert (await (await unsure.kiq("bad")).wait_result()).is_err
    await t.run()
    (letter,) = await broker.dead.list()
    assert "why not" in letter.reason


async def test_events(t: TaskiqTest) -> None:
    await (await restless.kiq("again"))
    await (await restless.kiq("never")).wait_result()
    await t.run()
    assert told == ["TaskStarted", "TaskRetrying", "TaskStarted", "TaskSucceeded", "TaskStarted", "TaskFailure"]


async def test_a_coroutine_is_not_for_a_thread() -> None:
    """A thread would need a loop of its own, and nothing that belongs to the worker's could be used in it."""
    other = InMemoryBroker()
    other.is_worker_process = True

    @other.task(executor="thread")
    async def work() -> None: ...

    async with other:
        with pytest.raises(ConfigurationError, match="executor='thread'"):
            await Worker(other, burst=True).serve()
