"""Redis schedules: changes that are told, connections that break, entries that cannot be read."""

from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest
from support.processes import DEADLINE
from support.redis_fixtures import StartRedis
from support.redis_servers import shared_redis
from support.schedule_stories import ServerScheduleStories, a_schedule, opened

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core.testing.schedule_suite import told_of_changes
from taskiq_core_schedule_sources_redis import RedisScheduleSource

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(redis_url: str, redis_prefix: str) -> str:
    return f"{redis_url}?prefix={redis_prefix}"


@pytest.fixture
def spoil(redis_prefix: str) -> Callable[[], int]:
    entries = [b"", b"0\xc0", b"0\xc1", b"1\x80", b"0\x91\x01"]

    def spoil() -> int:
        with shared_redis().client() as client:
            for number, entry in enumerate(entries):
                client.hset(f"{{{redis_prefix}}}:schedules", f"bad-{number}", entry)
        return len(entries)

    return spoil


class TestRedisSchedules(ServerScheduleStories):
    pass


async def test_a_user_who_may_not_track_keys_looks_again_and_again(start_redis: StartRedis) -> None:
    server = start_redis("user ann on >pw ~{taskiq}* +@all -client +client|setname")
    url = server.url.replace("//", "//ann:pw@")
    async with opened(url, url) as (mine, theirs):
        with anyio.fail_after(DEADLINE):
            await told_of_changes(mine, theirs)


async def test_a_restarted_server_that_forgot_everything_is_a_change(start_redis: StartRedis) -> None:
    server = start_redis()
    async with opened(server.url) as (source,):
        await source.add_schedule(a_schedule())
        assert len(await source.get_schedules()) == 1
        with anyio.fail_after(DEADLINE):
            async with anyio.create_task_group() as group:
                group.start_soon(source.wait_changed)
                await anyio.wait_all_tasks_blocked()
                await anyio.to_thread.run_sync(server.restart)
            assert await source.get_schedules() == []


async def test_nothing_stays_for_ever_when_all_schedules_are_gone(url: str, redis_prefix: str) -> None:
    async with opened(url) as (source,):
        await source.add_schedules([a_schedule() for _ in range(3)])
        await source.delete_schedules([item.schedule_id for item in await source.get_schedules()])
        with shared_redis().client() as client:
            assert [key for key in client.scan_iter(f"*{redis_prefix}*") if client.ttl(key) < 0] == []


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
