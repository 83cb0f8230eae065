"""Redis schedules: changes that are told, connections that break, entries that cannot be read."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from support.processes import DEADLINE
from support.redis_fixtures import StartRedis
from support.redis_servers import shared_redis
from support.tcp_proxy import TcpProxy

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core.schedule import ScheduledTask
from taskiq_core_brokers_redis import RedisError
from taskiq_core_schedule_sources_redis import RedisScheduleSource

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(url: str, **options: str) -> AsyncGenerator[RedisScheduleSource]:
    source = RedisScheduleSource(url, **options)
    try:
        await source.startup()
        yield source
    finally:
        await source.shutdown()


def a_schedule(**fields: object) -> ScheduledTask:
    return ScheduledTask(task_name="t", interval=60, **fields)  # type: ignore[arg-type]


async def told_of_changes(mine: RedisScheduleSource, theirs: RedisScheduleSource) -> None:
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


async def test_a_change_wakes_those_who_wait(redis_url: str, redis_prefix: str) -> None:
    async with opened(redis_url, prefix=redis_prefix) as mine, opened(redis_url, prefix=redis_prefix) as theirs:
        await told_of_changes(mine, theirs)
        await told_of_changes(mine, mine)


async def test_nothing_wakes_when_nothing_has_changed(redis_url: str, redis_prefix: str) -> None:
    async with opened(redis_url, prefix=redis_prefix) as mine, opened(redis_url, prefix=redis_prefix) as theirs:
        once = ScheduledTask(task_name="t", time="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
        await theirs.add_schedule(once)
        await mine.get_schedules()
        await theirs.post_send(once)
        assert await theirs.get_schedules() == []
        with anyio.move_on_after(1.5) as scope:  # longer than the source waits before it looks itself
            await mine.wait_changed()
        assert scope.cancelled_caught


async def test_a_user_who_may_not_track_keys_looks_again_and_again(start_redis: StartRedis) -> None:
    server = start_redis("user ann on >pw ~{taskiq}* +@all -client +client|setname")
    url = server.url.replace("//", "//ann:pw@")
    async with opened(url) as mine, opened(url) as theirs:
        await told_of_changes(mine, theirs)


@pytest.mark.parametrize("trouble", ["reset", "refuse", pytest.param("black_hole", marks=pytest.mark.slow)])
async def test_a_wait_survives_a_broken_connection(redis_prefix: str, trouble: str) -> None:
    port = int(shared_redis().url.rpartition(":")[2].partition("/")[0])
    with TcpProxy(port) as proxy:
        async with (
            opened(f"redis://127.0.0.1:{proxy.port}", prefix=redis_prefix) as mine,
            opened(shared_redis().url, prefix=redis_prefix) as theirs,
        ):
            await mine.get_schedules()
            with anyio.fail_after(DEADLINE):
                async with anyio.create_task_group() as group:
                    group.start_soon(mine.wait_changed)
                    await anyio.wait_all_tasks_blocked()
                    getattr(proxy, trouble)()
                    await theirs.add_schedule(a_schedule())
                    proxy.resume()
                assert len(await read_again(mine)) == 1


async def read_again(source: RedisScheduleSource) -> list[ScheduledTask]:
    while True:
        try:
            return await source.get_schedules()
        except RedisError:
            await anyio.sleep(0.05)


async def test_a_restarted_server_that_forgot_everything_is_a_change(start_redis: StartRedis) -> None:
    server = start_redis()
    async with opened(server.url) as source:
        await source.add_schedule(a_schedule())
        assert len(await source.get_schedules()) == 1
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(source.wait_changed)
                await anyio.wait_all_tasks_blocked()
                await anyio.to_thread.run_sync(server.restart)
            assert await source.get_schedules() == []


async def test_an_entry_that_cannot_be_read_is_left_out(
    redis_url: str, redis_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(redis_url, prefix=redis_prefix) as source:
        schedule = a_schedule()
        await source.add_schedule(schedule)
        with shared_redis().client() as client:
            for number, entry in enumerate([b"", b"0", b"0\xc1", b"1\x80", b"0\x91\x01"]):
                client.hset(f"{{{redis_prefix}}}:schedules", f"bad-{number}", entry)
        for _ in range(2):
            assert await source.get_schedules() == [schedule]
        assert len([record for record in caplog.records if "cannot be read" in record.message]) == 5


async def test_nothing_stays_for_ever_when_all_schedules_are_gone(redis_url: str, redis_prefix: str) -> None:
    async with opened(redis_url, prefix=redis_prefix) as source:
        await source.add_schedules([a_schedule() for _ in range(3)])
        await source.delete_schedules([item.schedule_id for item in await source.get_schedules()])
        with shared_redis().client() as client:
            assert [key for key in client.scan_iter(f"*{redis_prefix}*") if client.ttl(key) < 0] == []


async def test_a_source_that_is_not_started_says_so(redis_url: str) -> None:
    source = RedisScheduleSource(redis_url)
    for call in (source.get_schedules, source.wait_changed):
        with pytest.raises(ConfigurationError, match="startup"):
            await call()


async def test_a_wrong_password_is_said_at_the_start(start_redis: StartRedis) -> None:
    server = start_redis(password="s3cret")
    source = RedisScheduleSource(f"redis://:wr0ng@127.0.0.1:{server.port}")
    with pytest.raises(ConfigurationError, match="refuses the user name or password") as raised:
        await source.startup()
    assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize("url", ["redis://jobs?lease=1", "redis+sentinel://jobs", "redis://jobs/x"])
def test_wrong_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        RedisScheduleSource.from_url(url)


@pytest.mark.parametrize(
    "url", ["redis://jobs?prefix=p", "rediss://jobs", "redis+sentinel://jobs/main", "redis+cluster://jobs"]
)
def test_urls_lead_here(url: str) -> None:
    source = schedule_source_from_url(url)
    assert isinstance(source, RedisScheduleSource)
    assert source.location.root == ("{p}" if "prefix" in url else "{taskiq}")
