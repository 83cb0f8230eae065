"""NATS schedules: changes that are told, connections that break, entries that cannot be read, claims that are left over."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from support.nats_fixtures import StartNats
from support.nats_servers import ask, shared_nats
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core import schedule_source_from_url
from taskiq_core.abc.coordinator import Claim
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core_brokers_nats import NatsError
from taskiq_core_schedule_sources_nats import NatsScheduleSource

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[NatsScheduleSource]:
    source = NatsScheduleSource(url, **options)
    try:
        await source.startup()
        yield source
    finally:
        await source.shutdown()


def a_schedule() -> ScheduledTask:
    return ScheduledTask(task_name="t", interval=60)


async def test_a_change_wakes_those_who_wait(nats_url: str, nats_prefix: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as mine, opened(nats_url, prefix=nats_prefix) as theirs:
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


async def test_what_fires_once_is_forgotten_quietly(nats_url: str, nats_prefix: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as mine, opened(nats_url, prefix=nats_prefix) as theirs:
        once = ScheduledTask(task_name="t", time="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
        await theirs.add_schedule(once)
        await mine.get_schedules()
        await theirs.post_send(once)
        assert await theirs.get_schedules() == []
        with anyio.move_on_after(1.5) as scope:  # longer than the source waits before it looks itself
            await mine.wait_changed()
        assert scope.cancelled_caught


async def test_a_wait_survives_a_broken_connection(nats_prefix: str) -> None:
    shared = shared_nats().url
    with TcpProxy(int(shared.rpartition(":")[2])) as proxy:
        url = f"nats://127.0.0.1:{proxy.port}"
        async with opened(url, prefix=nats_prefix) as mine, opened(shared, prefix=nats_prefix) as theirs:
            await mine.get_schedules()
            with anyio.fail_after(DEADLINE):
                async with anyio.create_task_group() as group:
                    group.start_soon(mine.wait_changed)
                    await anyio.wait_all_tasks_blocked()
                    proxy.refuse()
                    await theirs.add_schedule(a_schedule())
                    proxy.resume()
                assert len(await read_again(mine)) == 1


async def read_again(source: NatsScheduleSource) -> list[ScheduledTask]:
    while True:
        try:
            return await source.get_schedules()
        except NatsError:
            await anyio.sleep(0.05)


async def test_schedules_and_claims_outlive_the_server(start_nats: StartNats) -> None:
    server = start_nats()
    async with opened(server.url) as source:
        await source.add_schedule(a_schedule())
        assert await source.claim([Claim("fire", "a", 600.0)]) == [True]
        await anyio.to_thread.run_sync(server.restart)
        assert len(await read_again(source)) == 1
        assert await source.claim([Claim("fire", "b", 600.0), Claim("fire", "a", 600.0)]) == [False, True]


async def test_an_entry_that_cannot_be_read_is_left_out_and_told_once(
    nats_url: str, nats_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(nats_url, prefix=nats_prefix) as source:
        await source.add_schedule(a_schedule())
        subject = f"$KV.{nats_prefix}_schedules.odd"
        await anyio.to_thread.run_sync(lambda: ask(nats_url, lambda jetstream: jetstream.publish(subject, b"\xc1")))
        for _ in range(2):
            assert len(await source.get_schedules()) == 1
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 1


async def test_counters_that_nobody_renews_are_swept(nats_url: str, nats_prefix: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as source:
        await source.add({"kept": 1}, 600.0)
        await source.add({"brief": 1}, 0.1)
        await anyio.sleep(0.2)
    async with opened(nats_url, prefix=nats_prefix):
        info = ask(nats_url, lambda jetstream: jetstream.stream_info(f"KV_{nats_prefix}_schedules_counters"))
        assert info.state.messages == 1


async def test_a_claim_for_longer_than_they_are_kept_is_refused(nats_url: str, nats_prefix: str) -> None:
    async with opened(nats_url, prefix=nats_prefix) as source:
        with pytest.raises(ValueError, match="8 days"):
            await source.claim([Claim("k", "a", 9 * 86400.0)])


async def test_before_the_start_it_says_so(nats_url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not started"):
        await NatsScheduleSource(nats_url).get_schedules()


@pytest.mark.parametrize("query", ["replicas=6", "lease=3"])
def test_wrong_options_are_refused(query: str) -> None:
    with pytest.raises(ConfigurationError):
        schedule_source_from_url(f"nats://localhost:4222?{query}")
