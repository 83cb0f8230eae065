"""PostgreSQL schedules: changes that are told, connections that break, entries that cannot be read, tables and rights."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from support.postgres_fixtures import StartPostgres
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core.schedule import ScheduledTask
from taskiq_core_brokers_postgres import PostgresError
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(url: str, schema: str) -> AsyncGenerator[PostgresScheduleSource]:
    source = PostgresScheduleSource(url, schema=schema)
    try:
        await source.startup()
        yield source
    finally:
        await source.shutdown()


def a_schedule(**fields: object) -> ScheduledTask:
    return ScheduledTask(task_name="t", interval=60, **fields)  # type: ignore[arg-type]


async def told_of_changes(mine: PostgresScheduleSource, theirs: PostgresScheduleSource) -> None:
    """Every kind of change ends a wait, and so does one that came before it."""
    schedule = a_schedule()
    changes = [
        lambda: theirs.add_schedule(schedule),
        lambda: theirs.set_paused(schedule.schedule_id, paused=True),
        lambda: theirs.delete_schedule(schedule.schedule_id),
    ]
    with anyio.fail_after(DEADLINE):
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


async def test_a_change_wakes_those_who_wait(postgres_schema: str) -> None:
    url = shared_postgres().url
    async with opened(url, postgres_schema) as mine, opened(url, postgres_schema) as theirs:
        await told_of_changes(mine, theirs)
        await told_of_changes(mine, mine)


async def test_nothing_wakes_when_nothing_has_changed(postgres_schema: str) -> None:
    url = shared_postgres().url
    async with opened(url, postgres_schema) as mine, opened(url, postgres_schema) as theirs:
        once = ScheduledTask(task_name="t", time="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
        await theirs.add_schedule(once)
        await mine.get_schedules()
        await theirs.post_send(once)
        assert await theirs.get_schedules() == []
        with anyio.move_on_after(1.5) as scope:  # longer than the source waits before it looks itself
            await mine.wait_changed()
        assert scope.cancelled_caught


@pytest.mark.parametrize("trouble", ["reset", "refuse", pytest.param("black_hole", marks=pytest.mark.slow)])
async def test_a_wait_survives_a_broken_connection(postgres_schema: str, trouble: str) -> None:
    url = shared_postgres().url
    port = int(url.rpartition(":")[2].partition("/")[0])
    with TcpProxy(port) as proxy:
        away = url.replace(f":{port}", f":{proxy.port}")
        async with opened(away, postgres_schema) as mine, opened(url, postgres_schema) as theirs:
            await mine.get_schedules()
            with anyio.fail_after(DEADLINE):
                async with anyio.create_task_group() as group:
                    group.start_soon(mine.wait_changed)
                    await anyio.wait_all_tasks_blocked()
                    getattr(proxy, trouble)()
                    await theirs.add_schedule(a_schedule())
                    proxy.resume()
                assert len(await read_again(mine)) == 1


async def read_again(source: PostgresScheduleSource) -> list[ScheduledTask]:
    while True:
        try:
            return await source.get_schedules()
        except PostgresError:
            await anyio.sleep(0.05)


async def test_a_source_works_again_after_a_restart_of_the_server(start_postgres: StartPostgres) -> None:
    server = start_postgres("fsync = on", "full_page_writes = on")
    async with opened(server.url, "taskiq") as source:
        schedule = a_schedule()
        await source.add_schedule(schedule)
        await source.get_schedules()
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(source.wait_changed)
                await anyio.to_thread.run_sync(server.restart)
                assert await read_again(source) == [schedule]
                await source.delete_schedule(schedule.schedule_id)
            assert await source.get_schedules() == []


async def test_an_entry_that_cannot_be_read_is_left_out(postgres_schema: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(shared_postgres().url, postgres_schema) as source:
        schedule = a_schedule()
        await source.add_schedule(schedule)
        insert = f"INSERT INTO {postgres_schema}.schedules (schedule_id, paused, body) VALUES ($1, false, $2)"
        for number, body in enumerate([b"", b"\xc1", b"\x80", b"\x91\x01"]):
            shared_postgres().ask(insert, f"bad-{number}", body)
        for _ in range(2):
            assert await source.get_schedules() == [schedule]
        assert len([record for record in caplog.records if "cannot be read" in record.message]) == 4


async def test_a_source_that_is_not_started_says_so() -> None:
    source = PostgresScheduleSource()
    for call in (source.get_schedules, source.wait_changed):
        with pytest.raises(ConfigurationError, match="startup"):
            await call()


async def test_a_source_that_may_not_make_tables_says_so(postgres_schema: str) -> None:
    source = PostgresScheduleSource.from_url(f"{shared_postgres().url}?schema={postgres_schema}&migrate=false")
    with pytest.raises(ConfigurationError, match="tables of version 0"):
        await source.startup()


async def test_a_server_that_is_gone_is_named_without_the_password(postgres_schema: str) -> None:
    url = shared_postgres().url
    port = int(url.rpartition(":")[2].partition("/")[0])
    with TcpProxy(port) as proxy:
        away = url.replace(f":{port}", f":{proxy.port}").replace("@", ":s3cret@", 1)
        async with opened(away, postgres_schema) as source:
            proxy.refuse()
            proxy.reset()
            with pytest.raises(PostgresError, match=rf":{proxy.port}/\w+ cannot be reached") as raised:
                await source.get_schedules()
            assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["postgresql://jobs/db?lease=1", "postgresql://jobs/db?migrate=perhaps", "postgresql://a:b#c@d"]
)
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        PostgresScheduleSource.from_url(url)


@pytest.mark.parametrize("url", ["postgres://jobs/db", "postgresql://jobs/db?schema=mine"])
def test_urls_lead_here(url: str) -> None:
    source = schedule_source_from_url(url)
    assert isinstance(source, PostgresScheduleSource)
    assert source.location.schema == ("mine" if "schema" in url else "taskiq")
