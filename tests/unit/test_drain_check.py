"""A worker that is to end with its queues ends when they are empty, not when it has waited in vain."""

from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest

from taskiq_core import InMemoryBroker, Worker, WorkerSettings, clock
from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def time() -> AsyncGenerator[None]:
    with virtual_time():
        yield


class Far(InMemoryBroker):
    """As if its server were so many seconds away."""

    distance = 1.0

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        subscription = super().subscribe(queues, prefetch=prefetch)
        near = subscription.receive

        async def receive(limit: int) -> Sequence[Delivery]:
            await anyio.sleep(self.distance)
            return await near(limit)

        subscription.receive = receive
        return subscription


async def run_burst(broker: InMemoryBroker) -> float:
    """Virtual seconds until the worker has ended."""
    start = clock.monotonic()
    with anyio.fail_after(60):
        await Worker(broker, WorkerSettings(burst=True)).run()
    return clock.monotonic() - start


async def test_a_server_that_needs_longer_is_waited_for() -> None:
    broker, runs = Far(), list[int]()

    @broker.task
    async def work(number: int) -> None:
        runs.append(number)

    async with broker:
        assert broker.admin is not None
        for number in range(3):
            await work.kiq(number)
        await work.kicker().with_delay(3600).kiq(3)
        await run_burst(broker)
        assert sorted(runs) == [0, 1, 2]
        assert (await broker.admin.depth("default")).delayed == 1


async def test_what_waits_in_a_paused_queue_is_not_waited_for() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def work() -> None: ...

    async with broker:
        assert broker.admin is not None
        await broker.admin.pause("default")
        await work.kiq()
        await run_burst(broker)
        assert (await broker.admin.depth("default")).ready == 1
