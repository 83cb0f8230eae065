"""Workers that end by themselves do not take what waits for a limit for done."""

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Rate, Worker, call
from taskiq_core.limits import Limit

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("limit", [Concurrency(1), Rate(5, per=0.3)])
async def test_parked_messages_are_no_tasks_that_ran(limit: Limit) -> None:
    broker, ran = InMemoryBroker(), list[int]()
    broker.is_worker_process = True

    @broker.task(limits=limit)
    async def work(number: int) -> None:
        ran.append(number)
        await anyio.sleep(0)

    async with broker:
        await work.kiq_many([call(number) for number in range(30)])
        worker = Worker(broker, concurrency=8, max_tasks=10)
        with anyio.fail_after(20):
            await worker.serve()
        assert worker.stopped_because == "max_tasks"
        assert len(ran) == 10
        depth = broker.queue.depth("default")
        assert depth.ready + depth.delayed == 20


@pytest.mark.parametrize("limit", [Concurrency(1), Rate(3, per=1)])
async def test_a_burst_ends_when_what_it_has_parked_has_run(limit: Limit) -> None:
    broker, ran = InMemoryBroker(), list[int]()
    broker.is_worker_process = True

    @broker.task(limits=limit)
    async def work(number: int) -> None:
        ran.append(number)
        await anyio.sleep(0)

    async with broker:
        await work.kiq_many([call(number) for number in range(7)])
        later = await work.kicker().with_delay(3600).kiq(99)
        worker = Worker(broker, concurrency=8, burst=True)
        with anyio.fail_after(20):
            await worker.serve()
        assert worker.stopped_because == "burst"
        assert sorted(ran) == list(range(7))
        assert not await later.is_ready()
