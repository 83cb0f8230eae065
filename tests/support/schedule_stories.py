"""What happens to every schedule source that keeps its schedules in a database or on a server."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import anyio
import pytest
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.plugins import schedule_source_from_url
from taskiq_core.schedule import ScheduledTask


@asynccontextmanager
async def opened(*urls: str) -> AsyncGenerator[list[ScheduleSource]]:
    """The sources that are at these URLs, started."""
    async with AsyncExitStack() as stack:
        sources = [schedule_source_from_url(url) for url in urls]
        for source in sources:
            stack.push_async_callback(source.shutdown)
            await source.startup()
        yield sources


def a_schedule() -> ScheduledTask:
    """One that is never due in a test."""
    return ScheduledTask(task_name="t", interval=60)


async def read_again(source: ScheduleSource) -> list[ScheduledTask]:
    """Read as a scheduler does: after an error again."""
    while True:
        try:
            return await source.get_schedules()
        except BrokerError:
            await anyio.sleep(0.05)


class ScheduleStories:
    """Inherit, with the fixtures `url`, of an empty source, and `spoil`."""

    async def test_what_cannot_be_read_is_left_out_and_told_once(
        self, url: str, spoil: Callable[[], int], caplog: pytest.LogCaptureFixture
    ) -> None:
        """`spoil` stores schedules that cannot be read, and returns how many."""
        async with opened(url) as (source,):
            schedule = a_schedule()
            await source.add_schedule(schedule)
            count = spoil()
            for _ in range(2):
                assert await source.get_schedules() == [schedule]
        assert len([record for record in caplog.records if "cannot be read" in record.message]) == count

    async def test_a_source_that_is_not_started_says_so(self, url: str) -> None:
        source = schedule_source_from_url(url)
        for call in (source.get_schedules, source.wait_changed):
            with pytest.raises(ConfigurationError, match=r"not started.*startup\(\)"):
                await call()


class ServerScheduleStories(ScheduleStories):
    """Those of a source on a server, which a connection leads to."""

    async def test_what_fires_once_is_forgotten_quietly(self, url: str) -> None:
        async with opened(url, url) as (mine, theirs):
            once = ScheduledTask(task_name="t", time="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
            await theirs.add_schedule(once)
            await mine.get_schedules()
            await theirs.post_send(once)
            assert await theirs.get_schedules() == []
            with anyio.move_on_after(1.5) as scope:  # longer than the source waits before it looks itself
                await mine.wait_changed()
            assert scope.cancelled_caught

    @pytest.mark.parametrize("trouble", ["reset", "refuse", pytest.param("black_hole", marks=pytest.mark.slow)])
    async def test_a_wait_survives_a_broken_connection(self, url: str, trouble: str) -> None:
        port = urlsplit(url).port
        assert port is not None
        with TcpProxy(port) as proxy:
            async with opened(url.replace(f":{port}", f":{proxy.port}"), url) as (mine, theirs):
                await mine.get_schedules()
                with anyio.fail_after(DEADLINE):
                    async with anyio.create_task_group() as group:
                        group.start_soon(mine.wait_changed)
                        await anyio.wait_all_tasks_blocked()
                        getattr(proxy, trouble)()
                        if trouble == "refuse":
                            proxy.reset()
                        await theirs.add_schedule(a_schedule())
                        proxy.resume()
                    assert len(await read_again(mine)) == 1
