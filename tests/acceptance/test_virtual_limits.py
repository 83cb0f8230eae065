"""Limits, debouncing and order in virtual time."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from taskiq_core import Concurrency, Context, Debounce, InMemoryBroker, Rate, Retry, TaskiqDepends
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


async def test_never_more_starts_than_the_rate_in_any_window() -> None:
    broker = InMemoryBroker()
    starts: list[float] = []

    @broker.task(limits=[Rate(10, per=60)])
    async def job() -> None:
        starts.append((t.now - START).total_seconds())

    async with taskiq_test(broker, start=START, workers=2) as t:
        for _ in range(60):
            await job.kiq()
        await t.drain()
    assert len(starts) == 60
    assert all(later - first >= 60 for first, later in zip(starts, starts[10:], strict=False))
    assert starts[-1] < 5 * 61


async def test_never_more_at_once_than_the_limit() -> None:
    broker = InMemoryBroker()
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    @broker.task(limits=[Concurrency(2, key="{customer}")])
    async def job(customer: str) -> None:
        running[customer] += 1
        most[customer] = max(most[customer], running[customer])
        await anyio.sleep(600)
        running[customer] -= 1

    async with taskiq_test(broker, start=START, workers=2, concurrency=20) as t:
        for number in range(30):
            await job.kiq("ab"[number % 2])
        await t.drain()
        assert most == {"a": 2, "b": 2}
        assert timedelta(seconds=8 * 600) <= t.now - START < timedelta(seconds=9 * 600)


async def test_the_last_of_several_calls_runs() -> None:
    broker = InMemoryBroker()
    ran: list[tuple[int, float]] = []

    @broker.task(debounce=Debounce(300, key="{document}"))
    async def index(document: str, version: int) -> None:
        ran.append((version, (t.now - START).total_seconds()))

    async with taskiq_test(broker, start=START) as t:
        for version in range(5):
            await index.kiq("a.txt", version)
            await t.advance(minutes=1)
        await t.drain()
    assert ran == [(4, 4 * 60 + 300)]


async def test_the_same_test_runs_in_the_same_order() -> None:
    assert len({await _story() for _ in range(20)}) == 1


async def _story() -> tuple[object, ...]:
    broker = InMemoryBroker()
    seen: list[object] = []

    @broker.task(retry=Retry(3, delay=10, backoff="exponential", jitter=True), limits=[Concurrency(3)])
    async def job(number: int, ctx: Context = TaskiqDepends()) -> None:
        seen.append((number, ctx.attempt, (t.now - START).total_seconds()))
        await anyio.sleep(number % 4)
        if number % 3 == ctx.attempt - 1:
            raise ConnectionError

    async with taskiq_test(broker, start=START, workers=2, lease=30) as t:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(job.kiq, number)
        await t.advance(3)
        await t.crash_worker()
        await t.drain()
    return tuple(seen)
