"""Fires of tasks whose sends may be duplicates: those count as made."""

import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import START, Running, broker, clock, every, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core import ScheduledTask, Unique
from taskiq_core.uniqueness import Conflict

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


async def job(n: int = 0) -> None:
    return None


@pytest.mark.parametrize("conflict", ["skip", "raise"])
async def test_a_fire_whose_place_is_taken_counts_as_made(
    clock: FakeClock, broker: KeepingBroker, running: Running, conflict: Conflict
) -> None:
    broker.register_task(job, "job", unique=Unique(key="{n}", ttl=35, on_conflict=conflict))
    once = ScheduledTask(task_name="job", time=START.replace(second=15))
    source = MemorySource(every(10), every(10, args=[1]), once)
    async with running(source):
        await clock.advance(30)
        assert sorted(message.args for message in broker.sent) == [[], [1]]
        assert once.schedule_id not in source.schedules
        await clock.advance(20)
    assert sorted(message.args for message in broker.sent) == [[], [], [1], [1]]
    assert all(message.labels["_unique"].startswith("finished:unique:job:") for message in broker.sent)


async def test_throttled_tasks_fire_as_often_as_they_may(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    broker.register_task(job, "job", throttle=25)
    async with running(MemorySource(every(10))):
        await clock.advance(60)
    assert len(broker.sent) == 2
