"""The laws that every schedule source which can be written to keeps."""

import unittest
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import anyio

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.schedule import ScheduledTask
from taskiq_core.testing.suite import Suite, law

EAST = timezone(timedelta(hours=5, minutes=30))

KINDS: tuple[dict[str, Any], ...] = (
    {"cron": "*/5 * * * *"},
    {"cron": "0 2 * * 1-5", "cron_offset": "Europe/Berlin"},
    {"cron": "0 2 * * *", "cron_offset": timedelta(hours=-3, minutes=-30)},
    {"interval": 90},
    {"interval": 1.5},
    {"interval": timedelta(days=1, seconds=1, microseconds=5)},
    {"time": datetime(2027, 1, 1, 9, 30, 0, 123456, tzinfo=UTC)},
    {"time": datetime(2027, 1, 1, 9, 30, tzinfo=EAST)},
    {"time": datetime(2027, 1, 1, 9, 30)},
    {"cron": "@daily", "task_id": "fixed", "misfire": "all", "paused": True},
    {"interval": 60, "labels": {"queue": "ключ ☃", "n": 1, "deep": {"a": [True, None, 1.5]}}},
    {"interval": 60, "args": [1, "a", None, b"\xff", [1, {"b": 2}]], "kwargs": {"x": {"y": [1.5]}}},
    {"interval": 60, "args": [UUID(int=7), datetime(2027, 1, 1, tzinfo=UTC), Decimal("0.10"), {1, 2}, timedelta(seconds=1)]},
)
"""Every field, with every type that it may have."""


class ScheduleSourceContract(Suite[ScheduleSource]):
    """Inherit, and override `fresh_store`."""

    @law()
    async def test_startup_and_shutdown_may_be_repeated(self, source: ScheduleSource) -> None:
        """A source may be started and shut down twice, and started again after that."""
        await source.startup()
        await source.shutdown()
        await source.shutdown()
        await source.startup()
        assert await source.get_schedules() == []

    @law()
    async def test_every_field_is_kept(self, source: ScheduleSource) -> None:
        """A schedule comes back with every field equal and of the same type."""
        added = [ScheduledTask(task_name="a.task", **kind) for kind in KINDS]
        for schedule in added:
            await source.add_schedule(schedule)
        found = await by_id(source)
        assert len(found) == len(added)
        for schedule in added:
            back = found[schedule.schedule_id]
            assert back == schedule
            for name in ("interval", "cron_offset", "time", "args"):
                before, after = getattr(schedule, name), getattr(back, name)
                assert type(after) is type(before), f"{name}: {before!r} came back as {after!r}"
            assert [type(arg) for arg in back.args] == [type(arg) for arg in schedule.args]
            assert back.time is None or back.time.utcoffset() == (schedule.time or back.time).utcoffset()

    @law()
    async def test_the_same_id_replaces(self, source: ScheduleSource) -> None:
        """Adding a schedule whose id is known replaces the old one, kind and all."""
        first = ScheduledTask(task_name="a.task", cron="* * * * *", args=[1])
        second = ScheduledTask(task_name="b.task", interval=60, schedule_id=first.schedule_id)
        await source.add_schedule(first)
        await source.add_schedule(second)
        assert await source.get_schedules() == [second]

    @law()
    async def test_batches_add_and_delete(self, source: ScheduleSource) -> None:
        """Batches do what single calls do; unknown ids are no error."""
        added = [ScheduledTask(task_name=f"task{number}", interval=60) for number in range(200)]
        await source.add_schedules([])
        await source.add_schedules(added)
        assert await by_id(source) == {item.schedule_id: item for item in added}
        await source.delete_schedules([item.schedule_id for item in added[:150]] + ["unknown"])
        await source.delete_schedules([])
        assert (await by_id(source)).keys() == {item.schedule_id for item in added[150:]}

    @law()
    async def test_a_deleted_schedule_is_gone(self, source: ScheduleSource) -> None:
        """Deleting forgets one schedule, may be repeated, and touches no other."""
        one, two = (ScheduledTask(task_name="a.task", interval=60) for _ in range(2))
        await source.add_schedules([one, two])
        await source.delete_schedule(one.schedule_id)
        await source.delete_schedule(one.schedule_id)
        assert await source.get_schedules() == [two]

    @law()
    async def test_pausing_is_kept(self, source: ScheduleSource) -> None:
        """A paused schedule stays in the list, paused and otherwise unchanged, until it is resumed."""
        schedule = ScheduledTask(task_name="a.task", interval=60, args=[UUID(int=1)])
        await source.add_schedule(schedule)
        for paused in (True, True, False):
            await source.set_paused(schedule.schedule_id, paused)
            assert await source.get_schedules() == [schedule.model_copy(update={"paused": paused})]
        refused = False
        try:
            await source.set_paused("unknown", True)
        except KeyError:
            refused = True
        assert refused, "pausing an unknown schedule must raise KeyError"

    @law()
    async def test_concurrent_writers_lose_nothing(self, source: ScheduleSource) -> None:
        """Schedules that many add at the same time are all there."""
        added = [ScheduledTask(task_name="a.task", interval=60) for _ in range(50)]
        async with anyio.create_task_group() as group:
            for schedule in added:
                group.start_soon(source.add_schedule, schedule)
        assert await by_id(source) == {item.schedule_id: item for item in added}

    @law(shared=True)
    async def test_another_instance_sees_the_schedules(self, source: ScheduleSource) -> None:
        """What one instance adds, pauses and deletes, another one sees."""
        one, two = (ScheduledTask(task_name="a.task", interval=60) for _ in range(2))
        peer = await self.another()
        await source.add_schedules([one, two])
        assert await by_id(peer) == await by_id(source)
        await peer.set_paused(one.schedule_id, paused=True)
        await peer.delete_schedule(two.schedule_id)
        assert [item.paused for item in await source.get_schedules()] == [True]

    @law(shared=True)
    async def test_schedules_outlive_their_source(self, source: ScheduleSource) -> None:
        """Schedules are still there when another instance opens the store after the first has shut down."""
        schedule = ScheduledTask(task_name="a.task", interval=60)
        await source.add_schedule(schedule)
        await source.shutdown()
        assert await (await self.another()).get_schedules() == [schedule]

    @law()
    async def test_a_change_ends_the_wait(self, source: ScheduleSource) -> None:
        """A source that can tell of changes ends a wait with each, and does not wait if one came since the last reading."""
        await told_of_changes(source, source)

    @law(shared=True)
    async def test_a_change_by_another_ends_the_wait(self, source: ScheduleSource) -> None:
        """Whoever waits hears of what another instance adds, pauses and deletes."""
        await told_of_changes(source, await self.another())


async def told_of_changes(mine: ScheduleSource, theirs: ScheduleSource) -> None:
    """Hold that a wait of mine ends with every kind of change by them, whether it comes meanwhile or before.

    :raises unittest.SkipTest: if the source cannot tell of changes.
    """
    if type(mine).wait_changed is ScheduleSource.wait_changed:
        msg = "the source does not tell of changes"
        raise unittest.SkipTest(msg)
    schedule = ScheduledTask(task_name="a.task", interval=60)
    changes: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: theirs.add_schedule(schedule),
        lambda: theirs.set_paused(schedule.schedule_id, paused=True),
        lambda: theirs.delete_schedule(schedule.schedule_id),
    )
    for change in changes:
        await mine.get_schedules()
        async with anyio.create_task_group() as group:
            group.start_soon(mine.wait_changed)
            await anyio.wait_all_tasks_blocked()
            await change()
    for change in changes:
        await mine.get_schedules()
        await change()
        await mine.wait_changed()


async def by_id(source: ScheduleSource) -> dict[str, ScheduledTask]:
    """All schedules by their ids."""
    return {item.schedule_id: item for item in await source.get_schedules()}
