"""Delays, retries and expiry in virtual time, on brokers whose servers do not exist."""

import time
from datetime import UTC, datetime, timedelta

import anyio
import anyio.to_thread
import pytest

from taskiq_core import Context, Retry, TaskiqDepends, TaskRetry, broker_from_url
from taskiq_core.broker import AsyncBroker
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["memory://", "sqlite:////no/such/folder/jobs.db", "redis://no-such-host:1/0"])
def broker(request: pytest.FixtureRequest) -> AsyncBroker:
    return broker_from_url(request.param)


async def test_delays_of_days(broker: AsyncBroker) -> None:
    ran: list[tuple[str, timedelta]] = []

    @broker.task(delay=timedelta(days=1))
    async def job(name: str) -> None:
        ran.append((name, t.now - START))

    async with taskiq_test(broker, start=START) as t:
        await job.kiq("a day")
        await job.kicker().with_eta(START + timedelta(days=30)).kiq("a month")
        await job.kicker().with_delay(90).kiq("soon")
        await t.advance(hours=23, minutes=59)
        assert ran == [("soon", timedelta(seconds=90))]
        await t.advance(minutes=1)
        assert ran[1:] == [("a day", timedelta(days=1))]
        await t.drain()
        assert ran[2:] == [("a month", timedelta(days=30))]
        assert t.now == START + timedelta(days=30)


async def test_who_waits_for_a_result_waits_no_real_time(broker: AsyncBroker) -> None:
    @broker.task
    async def add(a: int, b: int) -> int:
        await anyio.sleep(3600)
        return a + b

    async with taskiq_test(broker, start=START) as t:
        handle = await add.kicker().with_delay(timedelta(days=2)).kiq(1, 2)
        assert await handle == 3
        assert t.now == START + timedelta(days=2, hours=1)


async def test_exponential_retries_come_at_their_times(broker: AsyncBroker) -> None:
    ran: list[float] = []

    @broker.task(retry=Retry(5, delay=10, backoff="exponential", max_delay=60))
    async def job() -> None:
        ran.append((t.now - START).total_seconds())
        raise ConnectionError

    async with taskiq_test(broker, start=START) as t:
        handle = await job.kiq()
        await t.drain()
        assert ran == [0, 10, 30, 70, 130, 190]
        assert isinstance((await handle.wait_result()).error, ConnectionError)
        assert len(t.sent(job)) == 1


async def test_a_task_asks_for_its_retry(broker: AsyncBroker) -> None:
    ran: list[tuple[int, float]] = []

    @broker.task
    async def job(ctx: Context = TaskiqDepends()) -> None:
        ran.append((ctx.attempt, (t.now - START).total_seconds()))
        if ctx.attempt < 3:
            raise TaskRetry(delay=3600)

    async with taskiq_test(broker, start=START) as t:
        await job.kiq()
        await t.drain()
    assert ran == [(1, 0), (2, 3600), (3, 7200)]


async def test_what_has_expired_never_starts(broker: AsyncBroker) -> None:
    ran: list[int] = []

    @broker.task(expires=60)
    async def job(number: int) -> None:
        ran.append(number)
        await anyio.sleep(50)

    async with taskiq_test(broker, start=START, concurrency=1) as t:
        for number in range(3):
            await job.kiq(number)
        await t.drain()
    assert ran == [0, 1]  # the third would have started after 100 s


async def test_timeouts(broker: AsyncBroker) -> None:
    @broker.task(timeout=3600)
    async def job() -> None:
        await anyio.sleep_forever()

    async with taskiq_test(broker, start=START) as t:
        result = await (await job.kiq()).wait_result()
        assert isinstance(result.error, TimeoutError)
        assert t.now == START + timedelta(hours=1)


async def test_time_stands_still_while_threads_work(broker: AsyncBroker) -> None:
    @broker.task(timeout=60)
    def in_a_thread() -> None:
        time.sleep(0.05)

    @broker.task(timeout=60)
    async def waits_for_a_thread() -> None:
        await anyio.to_thread.run_sync(time.sleep, 0.05)

    async with taskiq_test(broker, start=START) as t:
        for task in (in_a_thread, waits_for_a_thread):
            assert not (await (await task.kiq()).wait_result()).is_err
        assert t.now == START


async def test_a_thread_beyond_its_timeout_is_given_up_after_real_seconds() -> None:
    broker = broker_from_url("memory://")
    may_end = anyio.Event()

    @broker.task(timeout=0.05)
    def endless() -> None:
        anyio.from_thread.run(may_end.wait)

    async with taskiq_test(broker, start=START) as t:
        result = await (await endless.kiq()).wait_result()
        assert isinstance(result.error, TimeoutError)
        assert t.now == START + timedelta(seconds=0.05)
        may_end.set()
