"""Which fires are made, in time that the tests make pass."""

from datetime import timedelta

import anyio
import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import START, Running, broker, clock, every, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core.exceptions import ScheduledTaskCancelledError
from taskiq_core.message import BrokerMessage
from taskiq_core.schedule import ScheduledTask

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


async def test_cron_interval_and_time_fire_once_each(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source = MemorySource(
        ScheduledTask(task_name="cron", cron="* * * * *"),
        ScheduledTask(task_name="interval", interval=timedelta(seconds=20)),
        ScheduledTask(task_name="time", time=START + timedelta(seconds=30)),
        ScheduledTask(task_name="past", time=START - timedelta(days=30)),
    )
    async with running(source):
        assert [message.task_name for message in broker.sent] == ["past"]
        await clock.advance(60)
    names = [message.task_name for message in broker.sent]
    assert {name: names.count(name) for name in set(names)} == {"cron": 1, "interval": 3, "time": 1, "past": 1}
    assert {schedule.task_name for schedule in source.schedules.values()} == {"cron", "interval"}


async def test_a_message_says_what_the_schedule_says(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    labels = {"team": "a", "expires": 5}
    async with running(MemorySource(every(10, schedule_id="s", args=[1], kwargs={"b": {2}}, labels=labels))):
        await clock.advance(10)
    (message,) = broker.sent
    assert (message.args, message.kwargs) == ([1], {"b": {2}})
    due = START.replace(microsecond=0) + timedelta(seconds=10)
    assert message.labels == {"team": "a", "schedule_id": "s", "expires_at": due.timestamp() + 5}
    assert len(bytes.fromhex(message.task_id)) == 16


async def test_an_own_task_id_is_kept(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    async with running(MemorySource(every(10, task_id="mine"))):
        await clock.advance(20)
    assert broker.ids == ["mine", "mine"]


async def test_any_number_of_schedulers_fire_once(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source = MemorySource(every(1), ScheduledTask(task_name="job", time=START + timedelta(seconds=5)))
    async with running(source), running(source), running(source):
        await clock.advance(10)
    assert len(broker.ids) == len(set(broker.ids)) == 11


async def test_hooks_are_called_around_a_send(clock: FakeClock, running: Running) -> None:
    source = MemorySource(every(10))
    async with running(source):
        await clock.advance(10)
    assert source.calls == ["pre_send", "post_send"]


async def test_a_source_may_cancel_a_fire(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    class Cancelling(MemorySource):
        def pre_send(self, task: ScheduledTask) -> None:
            super().pre_send(task)
            raise ScheduledTaskCancelledError

    source = Cancelling(every(10))
    async with running(source), running(source):
        await clock.advance(10)
    assert broker.sent == []
    assert source.calls == ["pre_send"]


async def test_a_scheduler_that_dies_between_claim_and_send_is_stood_in_for(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source, dying = MemorySource(every(30)), KeepingBroker()
    dying.result_backend = broker.result_backend
    claimed = anyio.Event()

    async def hang(_: BrokerMessage) -> None:
        claimed.set()
        await anyio.sleep_forever()

    dying.before_kick = hang
    async with running(source, sender=dying):
        await clock.advance(29.6)
        assert claimed.is_set()
    async with running(source):
        assert broker.sent == []
        await clock.advance(20)
        assert len(broker.sent) == 1
    assert dying.sent == []


async def test_a_running_scheduler_repairs_what_another_left(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source, dying = MemorySource(every(60)), KeepingBroker()
    dying.result_backend = broker.result_backend
    claimed = anyio.Event()

    async def hang(_: BrokerMessage) -> None:
        claimed.set()
        await anyio.sleep_forever()

    dying.before_kick = hang
    async with running(source, sender=dying) as first, running(source):
        await clock.advance(59.6)
        assert claimed.is_set() or len(broker.sent) == 1
        first.stop()
        await clock.advance(58)
    assert len(broker.sent) == 1


async def test_a_restart_within_the_grace_neither_doubles_nor_loses(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = MemorySource(every(1))
    async with running(source):
        await clock.advance(5)
    await clock.advance(5)
    async with running(source):
        await clock.advance(5)
    assert len(broker.ids) == len(set(broker.ids)) == 15


async def test_a_new_schedule_is_known_at_once_and_has_no_past(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = MemorySource()
    async with running(source):
        await clock.advance(30)
        await source.add_schedule(every(20))
        await clock.advance(9)
        assert broker.sent == []
        await clock.advance(1)
        assert len(broker.sent) == 1


@pytest.mark.parametrize(("misfire", "fires"), [("skip", 0), ("once", 1), ("all", 3)])
async def test_misfire_policies(clock: FakeClock, broker: KeepingBroker, running: Running, misfire: str, fires: int) -> None:
    source = MemorySource(every(3600, misfire=misfire))
    async with running(source):
        await clock.advance(10)
    await clock.advance(3 * 3600 + 100)
    for _ in range(2):
        async with running(source), running(source):
            await clock.advance(60)
    assert len(broker.ids) == len(set(broker.ids)) == fires


async def test_after_a_long_stop_a_fast_schedule_makes_up_its_last_minute_only(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = MemorySource(every(10, misfire="once"))
    async with running(source):
        await clock.advance(1)
    await clock.advance(3600)
    async with running(source):
        assert len(broker.sent) == 6


async def test_misfire_without_a_memory_is_refused(
    clock: FakeClock, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    forgetful = KeepingBroker()
    async with running(MemorySource(every(10, misfire="all"), every(10)), sender=forgetful):
        await clock.advance(60)
    assert len(forgetful.sent) == 6
    assert sum("misfire='all' needs a memory" in record.message for record in caplog.records) == 1
    assert sum("Only one scheduler may run" in record.message for record in caplog.records) == 1
