"""Messages that expire while they wait for a rate do not keep others from starting."""

import anyio
import pytest

from taskiq_core import AsyncTaskiqTask, InMemoryBroker, Rate, TaskCancelledError, gather
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


async def test_whoever_can_start_before_it_expires_does_however_many_cannot() -> None:
    broker, started = InMemoryBroker(), list[float]()

    @broker.task(limits=[Rate(1, per=30)], expires=15)
    async def work() -> None:
        started.append(anyio.current_time())

    handles: list[AsyncTaskiqTask[None]] = []
    async with taskiq_test(broker) as t:
        for _ in range(60):
            handles.append(await work.kiq())
            await t.advance(10)
        await t.drain()
        assert len(started) >= 19
        results = await gather(*handles)
        assert sum(isinstance(result.error, TaskCancelledError) for result in results) == 60 - len(started)


async def test_a_message_that_cannot_start_in_time_ends_when_it_expires() -> None:
    broker = InMemoryBroker()

    @broker.task(limits=[Rate(1, per=60)], expires=20)
    async def work() -> None:
        """Nothing to do."""

    async with taskiq_test(broker) as t:
        await (await work.kiq())
        late = await work.kiq()
        await t.run()
        with pytest.raises(TaskCancelledError, match="expired"):
            await late
        assert 20 <= (t.now - t.start).total_seconds() < 21


async def test_it_starts_when_the_limit_is_changed_before_it_expires() -> None:
    broker = InMemoryBroker()

    @broker.task(limits=[Rate(1, per=60)], expires=20)
    async def work() -> str:
        return "ran"

    async with taskiq_test(broker) as t:
        await (await work.kiq())
        late = await work.kiq()
        await t.advance(5)
        await broker.limits.change(work, Rate(2, per=60))
        assert await late == "ran"
        assert (t.now - t.start).total_seconds() < 7
