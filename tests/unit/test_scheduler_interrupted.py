"""One-off fires whose scheduler dies, or cannot reach their source, once they are sent: sent once, and told in the end."""

from datetime import timedelta

import anyio
import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import START, Running, broker, clock, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core.message import BrokerMessage
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask
from taskiq_core.scheduler import TaskiqScheduler

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


class Deaf(MemorySource):
    """Cannot be told anything while `deaf`: it hangs."""

    deaf = True
    asked = 0

    async def post_send(self, task: ScheduledTask) -> None:
        self.asked += 1
        if self.deaf:
            await anyio.sleep_forever()
        await super().post_send(task)


def deaf_source() -> Deaf:
    return Deaf(ScheduledTask(task_name="once", schedule_id="s", time=START + timedelta(seconds=5)))


async def test_a_scheduler_that_dies_before_it_tells_the_source_is_stood_in_for(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = deaf_source()
    async with running(source):
        await clock.advance(5)
        assert source.asked == 1
    source.deaf = False
    async with running(source), running(source):
        await clock.advance(1)
        assert source.schedules
        await clock.advance(60)
    assert source.schedules == {}
    assert len(broker.sent) == 1


async def test_however_long_nobody_runs_it_is_not_sent_again(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source = deaf_source()
    for _ in range(3):
        async with running(source):
            await clock.advance(7)
        await clock.advance(400 * 86400)
    source.deaf = False
    async with running(source):
        await clock.advance(20)
    assert source.schedules == {}
    assert len(broker.sent) == 1


@pytest.mark.parametrize("coordinated", [True, False])
async def test_a_source_that_cannot_be_told_for_long_is_told_in_the_end(clock: FakeClock, coordinated: bool) -> None:
    class Away(MemorySource):
        away = True

        async def post_send(self, task: ScheduledTask) -> None:
            if self.away:
                raise ConnectionError("the store is away")
            await super().post_send(task)

    source = Away(ScheduledTask(task_name="once", time=START))
    broker = KeepingBroker(InMemoryResultBackend() if coordinated else None)
    scheduler = TaskiqScheduler(broker, [source], clock=clock)
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        await clock.advance(1000)
        assert source.schedules
        source.away = False
        await clock.advance(60)
        group.cancel_scope.cancel()
    assert source.schedules == {}
    assert len(broker.sent) == 1


async def test_nothing_but_a_claim_is_left_of_it(clock: FakeClock) -> None:
    backend = InMemoryResultBackend[object]()
    counted: set[str] = set()
    forgotten: set[str] = set()

    class Watched(InMemoryResultBackend[object]):
        async def add(self, amounts, ttl):  # type: ignore[no-untyped-def]
            counted.update(amounts)
            return await backend.add(amounts, ttl)

        async def forget(self, keys):  # type: ignore[no-untyped-def]
            forgotten.update(keys)
            await backend.forget(keys)

    broker = KeepingBroker(Watched())
    scheduler = TaskiqScheduler(broker, [MemorySource(ScheduledTask(task_name="once", time=START))], clock=clock)
    async with anyio.create_task_group() as group:
        group.start_soon(scheduler.run)
        await clock.advance(5)
        group.cancel_scope.cancel()
    assert len(broker.sent) == 1
    assert counted
    assert counted <= forgotten


async def test_a_scheduler_that_dies_while_it_sends_has_not_sent(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    """The send is what counts, not that it was tried."""
    source, dying = deaf_source(), KeepingBroker()
    source.deaf = False
    dying.result_backend = broker.result_backend

    async def hang(_: BrokerMessage) -> None:
        await anyio.sleep_forever()

    dying.before_kick = hang
    async with running(source, sender=dying):
        await clock.advance(6)
    async with running(source):
        await clock.advance(60)
    assert source.schedules == {}
    assert len(broker.sent) == 1
    assert dying.sent == []
