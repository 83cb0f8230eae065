"""What schedulers do when things change or go wrong."""

import logging
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import START, Running, broker, clock, every, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core.exceptions import BrokerError
from taskiq_core.message import BrokerMessage
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask
from taskiq_core.scheduler import SystemClock, TaskiqScheduler

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


async def test_a_bad_schedule_is_said_once_and_the_others_go_on(
    clock: FakeClock, broker: KeepingBroker, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    source = MemorySource(ScheduledTask(task_name="bad", schedule_id="b", cron="61 * * * *"), every(10))
    async with running(source):
        await clock.advance(60)
    assert len(broker.sent) == 6
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "61 * * * *" in errors[0]


async def test_a_failing_source_keeps_its_last_answer(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source, broken = MemorySource(every(10)), MemorySource()
    broken.broken = True
    async with running(source, broken):
        source.broken = True
        await clock.advance(60)
    assert len(broker.sent) == 6


async def test_a_paused_schedule_does_not_fire_and_makes_nothing_up(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = MemorySource(every(10, schedule_id="s", misfire="all"))
    async with running(source), running(source):
        await clock.advance(10)
        await source.set_paused("s", True)
        await clock.advance(30)
        assert len(broker.sent) == 1
        await source.set_paused("s", False)
        await clock.advance(20)
        assert len(broker.sent) == 3
    async with running(source):
        await clock.advance(0)
    assert len(broker.sent) == 3


async def test_what_was_paused_while_no_scheduler_ran_is_not_made_up(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    source = MemorySource(every(60, schedule_id="s", misfire="all"))
    async with running(source):
        await clock.advance(1)
    await source.set_paused("s", True)
    async with running(source):
        await clock.advance(600)
    await source.set_paused("s", False)
    async with running(source):
        await clock.advance(1)
    assert broker.sent == []


async def test_changed_arguments_and_times_are_taken_over(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source = MemorySource(every(60, schedule_id="s", args=[1]))
    async with running(source):
        await clock.advance(5)
        await source.add_schedule(every(60, schedule_id="s", args=[2]))
        await clock.advance(65)
        await source.add_schedule(every(5, schedule_id="s", args=[3]))
        await clock.advance(5)
    assert [message.args for message in broker.sent] == [[2], [3]]


async def test_a_deleted_schedule_fires_no_more(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    source = MemorySource(every(10, schedule_id="s"))
    async with running(source):
        await clock.advance(10)
        await source.delete_schedule("s")
        await clock.advance(60)
    assert len(broker.sent) == 1


async def test_a_send_that_fails_is_repeated_and_holds_up_nobody(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    refusals = 3

    async def refuse(message: BrokerMessage) -> None:
        nonlocal refusals
        if message.task_name == "hard" and refusals:
            refusals -= 1
            raise ConnectionError("no broker")

    broker.before_kick = refuse
    source = MemorySource(ScheduledTask(task_name="hard", interval=30), every(30))
    async with running(source), running(source):
        await clock.advance(29.5)
        assert [message.task_name for message in broker.sent] == ["job"]
        await clock.advance(25)
    assert [message.task_name for message in broker.sent] == ["job", "hard"]
    assert len(set(broker.ids)) == 2


async def test_a_send_that_hangs_holds_up_nobody(clock: FakeClock, broker: KeepingBroker, running: Running) -> None:
    async def hang(message: BrokerMessage) -> None:
        if message.task_name == "hard":
            await anyio.sleep_forever()

    broker.before_kick = hang
    async with running(MemorySource(ScheduledTask(task_name="hard", interval=5), every(5))):
        await clock.advance(20)
    assert len(broker.sent) == 4


async def test_a_repeating_fire_is_given_up_after_its_grace_and_a_one_off_never_is(
    clock: FakeClock, broker: KeepingBroker, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    down = True

    async def refuse(_: BrokerMessage) -> None:
        if down:
            raise ConnectionError("no broker")

    broker.before_kick = refuse
    source = MemorySource(
        ScheduledTask(task_name="hourly", cron="1 * * * *"), ScheduledTask(task_name="once", time=START + timedelta(seconds=5))
    )
    async with running(source):
        await clock.advance(300)
        down = False
        await clock.advance(30)
    assert [message.task_name for message in broker.sent] == ["once"]
    assert any("given up" in record.message for record in caplog.records if record.levelno == logging.ERROR)


async def test_a_one_off_that_its_source_keeps_fires_once_also_after_restarts(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    class Keeping(MemorySource):
        keeps_one_off = True

        async def post_send(self, task: ScheduledTask) -> None:
            """Keeps it."""

    source = Keeping(ScheduledTask(task_name="once", time=START))
    for _ in range(3):
        async with running(source), running(source):
            await clock.advance(90)
        await clock.advance(3 * 86400)
    assert len(broker.sent) == 1


async def test_a_one_off_that_cannot_be_deleted_at_first_fires_once(
    clock: FakeClock, broker: KeepingBroker, running: Running
) -> None:
    class Stubborn(MemorySource):
        failures = 3

        async def post_send(self, task: ScheduledTask) -> None:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the store is away")
            await super().post_send(task)

    source = Stubborn(ScheduledTask(task_name="once", time=START))
    async with running(source), running(source):
        await clock.advance(90)
    assert len(broker.sent) == 1
    assert source.schedules == {}


async def test_a_coordinator_that_fails_delays_and_neither_doubles_nor_loses(clock: FakeClock, running: Running) -> None:
    class Failing(InMemoryResultBackend):  # type: ignore[type-arg]
        down = False

        async def claim(self, claims):  # type: ignore[no-untyped-def]
            if self.down:
                raise ConnectionError("the store is away")
            return await super().claim(claims)

    backend = Failing()
    broker = KeepingBroker(backend)
    source = MemorySource(every(10))
    async with running(source, sender=broker), running(source, sender=broker):
        await clock.advance(10)
        backend.down = True
        await clock.advance(20)
        assert len(broker.sent) == 1
        backend.down = False
        await clock.advance(14)
    assert len(broker.ids) == len(set(broker.ids)) == 4


async def test_a_schedule_that_comes_back_makes_no_old_fire_again(clock: FakeClock, running: Running) -> None:
    class Unforgetting(InMemoryResultBackend):  # type: ignore[type-arg]
        async def forget(self, keys):  # type: ignore[no-untyped-def]
            raise ConnectionError("the store is away")

    broker = KeepingBroker(Unforgetting())
    source = MemorySource(every(10, schedule_id="s"))
    async with running(source, sender=broker):
        await clock.advance(20)
        await source.delete_schedule("s")
        await clock.advance(1)
        await source.add_schedule(every(10, schedule_id="s"))
        await clock.advance(10)
    assert len(broker.ids) == len(set(broker.ids)) == 3


async def test_stop_ends_run_and_lets_a_send_finish(broker: KeepingBroker) -> None:
    sending, go_on = anyio.Event(), anyio.Event()

    async def wait(_: BrokerMessage) -> None:
        sending.set()
        await go_on.wait()

    broker.before_kick = wait
    scheduler = TaskiqScheduler(broker, [MemorySource(ScheduledTask(task_name="t", time=datetime(2020, 1, 1, tzinfo=UTC)))])
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            await sending.wait()
            scheduler.stop()
            go_on.set()
    assert len(broker.sent) == 1


async def test_stop_before_run_is_not_lost(broker: KeepingBroker) -> None:
    scheduler = TaskiqScheduler(broker, [])
    scheduler.stop()
    with anyio.fail_after(10):
        await scheduler.run()


async def test_the_system_clock_wakes_at_the_time_or_by_the_event() -> None:
    clock, wake = SystemClock(), anyio.Event()
    when = clock.now() + timedelta(milliseconds=30)
    with anyio.fail_after(10):
        await clock.sleep_until(when, wake)
        assert clock.now() >= when
        async with anyio.create_task_group() as group:
            group.start_soon(clock.sleep_until, None, wake)
            group.start_soon(clock.sleep_until, when + timedelta(days=1), wake)
            wake.set()


async def test_a_start_that_failed_half_way_can_be_repeated() -> None:
    class LateBackend(InMemoryResultBackend[object]):
        tries = 0

        async def startup(self) -> None:
            self.tries += 1
            if self.tries == 1:
                raise BrokerError(reason="not yet")

    backend = LateBackend()
    scheduler = TaskiqScheduler(KeepingBroker(backend), [MemorySource()])
    with pytest.raises(BrokerError, match="not yet"):
        await scheduler.startup()
    await scheduler.shutdown()
    await scheduler.startup()
    await scheduler.shutdown()
    assert backend.tries == 2
