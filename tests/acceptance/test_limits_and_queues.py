"""One limit over several queues: who could not be taken keeps nobody waiting."""

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Worker, call, gather
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("trouble", ["paused", "stopping", "gone"])
async def test_a_queue_that_nobody_takes_from_does_not_hold_up_the_others(trouble: str) -> None:
    broker, started, go_on = InMemoryBroker(), anyio.Event(), anyio.Event()
    broker.is_worker_process = True

    @broker.task(queue="one", limits=Concurrency(1, name="shared"))
    async def one() -> None:
        await anyio.sleep(0.05)

    @broker.task(queue="two", limits=Concurrency(1, name="shared"))
    async def two() -> None:
        await anyio.sleep(0.05)

    @broker.task(queue="one")
    async def long() -> None:
        started.set()
        await go_on.wait()

    with virtual_time():
        async with broker, anyio.create_task_group() as group:
            ones, twos = (Worker(broker, queues=[name], concurrency=4, grace=100) for name in ("one", "two"))
            await long.kiq()
            group.start_soon(ones.serve)
            group.start_soon(twos.serve)
            await started.wait()
            for _ in range(20):
                await one.kiq()
            handles = await two.kiq_many([call() for _ in range(20)])
            await anyio.sleep(0.2)
            if trouble == "paused":
                assert broker.admin is not None
                await broker.admin.pause("one")
            else:
                ones.stop(now=trouble == "gone")
            begin = anyio.current_time()
            await gather(*handles, timeout=100)
            assert anyio.current_time() - begin < 5
            go_on.set()
            ones.stop(now=True)
            twos.stop(now=True)
