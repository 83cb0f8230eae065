"""NATS schedules: changes that are told, connections that break, entries that cannot be read, claims that are left over."""

from collections.abc import Callable

import anyio
import anyio.to_thread
import pytest
from support.nats_fixtures import StartNats
from support.nats_servers import ask
from support.schedule_stories import ServerScheduleStories, a_schedule, opened, read_again

from taskiq_core import schedule_source_from_url
from taskiq_core.abc.coordinator import Claim
from taskiq_core.exceptions import ConfigurationError

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(nats_url: str, nats_prefix: str) -> str:
    return f"{nats_url}?prefix={nats_prefix}"


@pytest.fixture
def spoil(nats_url: str, nats_prefix: str) -> Callable[[], int]:
    bodies = [b"\xc1", b"\x80", b"\x91\x01"]

    async def publish(jetstream) -> None:
        for number, body in enumerate(bodies):
            await jetstream.publish(f"$KV.{nats_prefix}_schedules.odd{number}", body)

    def spoil() -> int:
        ask(nats_url, publish)
        return len(bodies)

    return spoil


class TestNatsSchedules(ServerScheduleStories):
    pass


async def test_schedules_and_claims_outlive_the_server(start_nats: StartNats) -> None:
    server = start_nats()
    async with opened(server.url) as (source,):
        await source.add_schedule(a_schedule())
        assert await source.claim([Claim("fire", "a", 600.0)]) == [True]
        await anyio.to_thread.run_sync(server.restart)
        assert len(await read_again(source)) == 1
        assert await source.claim([Claim("fire", "b", 600.0), Claim("fire", "a", 600.0)]) == [False, True]


async def test_counters_that_nobody_renews_are_swept(url: str, nats_url: str, nats_prefix: str) -> None:
    async with opened(url) as (source,):
        await source.add({"kept": 1}, 600.0)
        await source.add({"brief": 1}, 0.1)
        await anyio.sleep(0.2)
    async with opened(url):
        info = ask(nats_url, lambda jetstream: jetstream.stream_info(f"KV_{nats_prefix}_schedules_counters"))
        assert info.state.messages == 1


async def test_a_claim_for_longer_than_they_are_kept_is_refused(url: str) -> None:
    async with opened(url) as (source,):
        with pytest.raises(ValueError, match="8 days"):
            await source.claim([Claim("k", "a", 9 * 86400.0)])


@pytest.mark.parametrize("query", ["replicas=6", "lease=3"])
def test_wrong_options_are_refused(query: str) -> None:
    with pytest.raises(ConfigurationError):
        schedule_source_from_url(f"nats://localhost:4222?{query}")
