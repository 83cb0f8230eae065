"""PostgreSQL schedules: changes that are told, connections that break, entries that cannot be read, tables and rights."""

from collections.abc import Callable
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest
from support.postgres_fixtures import StartPostgres
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE
from support.schedule_stories import ServerScheduleStories, a_schedule, opened, read_again
from support.tcp_proxy import TcpProxy

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core_brokers_postgres import PostgresError
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(postgres_schema: str) -> str:
    return f"{shared_postgres().url}?schema={postgres_schema}"


@pytest.fixture
def spoil(postgres_schema: str) -> Callable[[], int]:
    insert = f"INSERT INTO {postgres_schema}.schedules (schedule_id, paused, body) VALUES ($1, false, $2)"
    bodies = [b"", b"\xc1", b"\x80", b"\x91\x01"]

    def spoil() -> int:
        for number, body in enumerate(bodies):
            shared_postgres().ask(insert, f"bad-{number}", body)
        return len(bodies)

    return spoil


class TestPostgresSchedules(ServerScheduleStories):
    pass


async def test_a_source_works_again_after_a_restart_of_the_server(start_postgres: StartPostgres) -> None:
    server = start_postgres("fsync = on", "full_page_writes = on")
    async with opened(server.url) as (source,):
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


async def test_a_source_that_may_not_make_tables_says_so(url: str) -> None:
    source = PostgresScheduleSource.from_url(f"{url}&migrate=false")
    with pytest.raises(ConfigurationError, match="has no tables, this release needs version"):
        await source.startup()


async def test_a_server_that_is_gone_is_named_without_the_password(url: str) -> None:
    port = urlsplit(url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        async with opened(url.replace(f":{port}", f":{proxy.port}").replace("@", ":s3cret@", 1)) as (source,):
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
