"""Workers that end by themselves do not take what waits for a limit for done."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Rate, Worker, call
from taskiq_core.limits import Limit

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def limited(limit: Limit) -> AsyncGenerator[tuple[InMemoryBroker, Any, list[int]]]:
    """A broker without workers, a task with that limit, and the numbers that it was called with."""
    broker, ran = InMemoryBroker(), list[int]()
    broker.is_worker_process = True

    @broker.task(limits=limit)
    async def work(number: int) -> None:
        ran.append(number)
        await anyio.sleep(0)

    async with broker:
        yield broker, work, ran


async def why_it_ends(broker: InMemoryBroker, **settings: Any) -> str | None:
    worker = Worker(broker, concurrency=8, **settings)
    with anyio.fail_after(20):
        await worker.serve()
    return worker.stopped_because


@pytest.mark.parametrize("limit", [Concurrency(1), Rate(5, per=0.3)])
async def test_parked_messages_are_no_tasks_that_ran(limit: Limit) -> None:
    async with limited(limit) as (broker, work, ran):
        await work.kiq_many([call(number) for number in range(30)])
        assert await why_it_ends(broker, max_tasks=10) == "max_tasks"
        assert len(ran) == 10
        depth = broker.queue.depth("default")
        assert depth.ready + depth.delayed == 20


@pytest.mark.parametrize("limit", [Concurrency(1), Rate(3, per=0.5)])
async def test_a_burst_ends_when_what_it_has_parked_has_run(limit: Limit) -> None:
    async with limited(limit) as (broker, work, ran):
        await work.kiq_many([call(number) for number in range(7)])
        later = await work.kicker().with_delay(3600).kiq(99)
        assert await why_it_ends(broker, burst=True) == "burst"
        assert sorted(ran) == list(range(7))
        assert not await later.is_ready()
