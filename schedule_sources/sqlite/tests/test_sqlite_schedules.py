"""SQLite schedules and the real scheduler on one file."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from support.schedule_stories import ScheduleStories

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend
from taskiq_core_schedule_sources_sqlite import SQLiteScheduleSource

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def rows(path: Path) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(path, isolation_level=None)
    yield conn
    conn.close()


async def until_queued(rows: sqlite3.Connection, count: int) -> list[str]:
    with anyio.fail_after(20):
        while True:
            found = [row[0] for row in rows.execute("SELECT task_id FROM taskiq_messages ORDER BY id")]
            if len(found) >= count:
                return found
            await anyio.sleep(0.01)


def scheduler_on(path: Path) -> TaskiqScheduler:
    # Each with parts of its own, as another process would have them.
    return TaskiqScheduler(SQLiteBroker(path, SQLiteResultBackend(path)), [SQLiteScheduleSource(path)])


async def test_three_schedulers_on_one_file_fire_each_schedule_once(path: Path, rows: sqlite3.Connection) -> None:
    past = datetime(2026, 1, 1, tzinfo=UTC)
    schedulers = [scheduler_on(path) for _ in range(3)]
    for scheduler in schedulers:
        await scheduler.startup()
    source = schedulers[0].sources[0]
    await source.add_schedules([ScheduledTask(task_name="t", time=past + timedelta(days=n)) for n in range(30)])
    async with anyio.create_task_group() as group:
        for scheduler in schedulers:
            group.start_soon(scheduler.run)
        await until_queued(rows, 30)
        # Known at once, long before the next reading.
        await source.add_schedules([ScheduledTask(task_name="t", time=past + timedelta(days=n)) for n in range(30, 40)])
        found = await until_queued(rows, 40)
        while await source.get_schedules():
            await anyio.sleep(0.01)
        for scheduler in schedulers:
            scheduler.stop()
    assert len(found) == len(set(found)) == 40
    for scheduler in schedulers:
        await scheduler.shutdown()
    assert rows.execute("SELECT count(*) FROM taskiq_messages").fetchone() == (40,)


async def test_a_one_off_fires_once_over_restarts(path: Path, rows: sqlite3.Connection) -> None:
    for number in range(2):
        scheduler = scheduler_on(path)
        await scheduler.startup()
        await scheduler.sources[0].add_schedule(ScheduledTask(task_name="t", time=datetime(2026, 1, 1 + number, tzinfo=UTC)))
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            await until_queued(rows, number + 1)
            scheduler.stop()
        await scheduler.shutdown()
    assert rows.execute("SELECT count(*) FROM taskiq_messages").fetchone() == (2,)


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def spoil(rows: sqlite3.Connection) -> Callable[[], int]:
    bodies = [b"\xc1", b"\x91\x01"]

    def spoil() -> int:
        insert = "INSERT INTO taskiq_schedules (schedule_id, paused, body) VALUES (?, 0, ?)"
        return rows.executemany(insert, [(f"bad-{number}", body) for number, body in enumerate(bodies)]).rowcount

    return spoil


class TestSQLiteSchedules(ScheduleStories):
    pass


@pytest.mark.parametrize("url", ["sqlite:///jobs.db?refresh=1", "sqlite://"])
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        SQLiteScheduleSource.from_url(url)


async def test_a_deleted_file_is_made_anew_with_its_tables(path: Path) -> None:
    source = SQLiteScheduleSource(path)
    await source.startup()
    await source.add_schedules([ScheduledTask(task_name="old", cron="* * * * *")])
    assert len(await source.get_schedules()) == 1
    path.unlink()
    assert await source.get_schedules() == []
    await source.add_schedules([ScheduledTask(task_name="new", cron="* * * * *")])
    assert [item.task_name for item in await source.get_schedules()] == ["new"]
    await source.shutdown()
