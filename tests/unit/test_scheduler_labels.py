"""Schedules that stand in code, and those that are made at run time."""

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import START, Running, broker, clock, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.kicker import AsyncKicker
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import At, Cron, CronSpec, Every, ScheduledTask
from taskiq_core.schedule_sources import LabelScheduleSource

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


def declare(broker: KeepingBroker) -> None:
    schedule = [
        Cron("0 2 * * *", tz="Europe/Berlin", name="daily_backup", misfire="once"),
        Every(timedelta(minutes=5), args=(1,)),
        Every(timedelta(minutes=5), args=(2,)),
        Every(timedelta(minutes=5), args=(2,)),
        At(datetime(2026, 1, 1, tzinfo=UTC), kwargs={"a": {1}}),
    ]

    @broker.task("native", schedule=schedule, expires=30, team="x")
    async def native() -> None: ...

    labels = {"team": "ours", "extra": 1}
    dicts = [
        {"cron": CronSpec(minutes=5), "cron_offset": "Europe/Berlin", "args": [1], "labels": labels},
        {"interval": 10, "schedule_id": "mine"},
        {"nothing": "known"},
        {"interval": 0.1},
    ]

    @broker.task("classic", schedule=dicts, team="tasks")
    async def classic() -> None: ...


async def test_native_and_classic_schedules_are_read(broker: KeepingBroker, caplog: pytest.LogCaptureFixture) -> None:
    declare(broker)
    source = LabelScheduleSource(broker)
    found = await source.get_schedules()
    backup, one, two, twin, once, cron, mine = found
    assert (backup.schedule_id, backup.cron_offset, backup.misfire) == ("daily_backup", "Europe/Berlin", "once")
    assert backup.labels == {"team": "x", "expires": 30}
    assert [(item.interval, item.args) for item in (one, two, twin)] == [(timedelta(minutes=5), [n]) for n in (1, 2, 2)]
    assert (once.time, once.kwargs) == (datetime(2026, 1, 1, tzinfo=UTC), {"a": {1}})
    assert (cron.cron, cron.args, cron.labels) == ("5 * * * *", [1], {"team": "tasks", "extra": 1})
    assert (mine.schedule_id, mine.interval) == ("mine", 10)
    assert len({item.schedule_id for item in found}) == len(found)
    await source.get_schedules()
    assert len([record for record in caplog.records if "classic is left out" in record.message]) == 1


async def test_ids_are_the_same_in_every_process(broker: KeepingBroker) -> None:
    other = KeepingBroker()
    declare(broker)
    declare(other)
    ours, theirs = await LabelScheduleSource(broker).get_schedules(), await LabelScheduleSource(other).get_schedules()
    assert [item.schedule_id for item in ours] == [item.schedule_id for item in theirs]


async def test_a_time_that_has_passed_fires_once_for_all_and_for_ever(clock: FakeClock, running: Running) -> None:
    backend = InMemoryResultBackend[object]()
    sent: list[str] = []
    for _ in range(3):
        # A broker and a source of its own is what another process, or a later one, has.
        first, second = KeepingBroker(backend), KeepingBroker(backend)
        for one in (first, second):
            one.task("t", schedule=At(START - timedelta(days=1)))(anyio.sleep)
        async with (
            running(LabelScheduleSource(first), sender=first),
            running(LabelScheduleSource(second), sender=second),
        ):
            await clock.advance(90)
        sent += first.ids + second.ids
        await clock.advance(30 * 86400)
    assert len(sent) == 1


async def test_a_kicker_makes_schedules(broker: KeepingBroker) -> None:
    @broker.task("t", expires=60)
    async def task(number: int) -> None: ...

    source = MemorySource()
    kicker = task.kicker().with_labels(team="x").with_task_id("id").with_schedule_id("s")
    made = await kicker.schedule_by_cron(source, CronSpec(hours=2, offset="Europe/Berlin"), 7)
    assert made.schedule_id == "s"
    assert await source.get_schedules() == [
        ScheduledTask(
            task_name="t", schedule_id="s", task_id="id", cron="* 2 * * *", cron_offset="Europe/Berlin",
            args=[7], labels={"team": "x", "expires": 60},
        )
    ]  # fmt: skip
    await made.pause()
    assert made.task.paused
    assert (await source.get_schedules())[0].paused
    await made.resume()
    assert not (await source.get_schedules())[0].paused
    handle = await made.run_now()
    assert handle.task_id == "id"
    assert (broker.sent[0].args, broker.sent[0].labels["schedule_id"]) == ([7], "s")
    await made.unschedule()
    await made.unschedule()
    assert await source.get_schedules() == []


async def test_interval_and_time_by_the_task(broker: KeepingBroker) -> None:
    @broker.task("t")
    async def task() -> None: ...

    source = MemorySource()
    interval = await task.schedule_by_interval(source, timedelta(minutes=1))
    time = await task.schedule_by_time(source, START)
    assert (interval.task.interval, time.task.time) == (timedelta(minutes=1), START)
    assert interval.schedule_id != time.schedule_id


async def test_what_would_never_fire_is_refused_at_once(broker: KeepingBroker) -> None:
    kicker = AsyncKicker("t", broker)
    source = MemorySource()
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await kicker.schedule_by_cron(source, "61 * * * *")
    with pytest.raises(ValueError, match="at least one second"):
        await kicker.schedule_by_interval(source, 0.5)
    with pytest.raises(NotImplementedError, match="read-only"):
        await kicker.schedule_by_interval(LabelScheduleSource(broker), 5)
    assert source.schedules == {}
