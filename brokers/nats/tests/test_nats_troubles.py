"""Servers that end and networks that break: what was open works again, and nothing is sent or run twice."""

import anyio
import anyio.to_thread
import pytest
from support.broker_stories import BrokerStories, assert_a_forked_process_starts_anew, received, settled
from support.nats_fixtures import StartNats
from support.nats_server import NatsServer

from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio


class TestNatsStories(BrokerStories):
    settle = staticmethod(settled)

    @pytest.fixture
    def url(self, nats_url: str, nats_prefix: str) -> str:
        return f"{nats_url}?prefix={nats_prefix}"

    @pytest.fixture
    def server(self, start_nats: StartNats) -> NatsServer:
        return start_nats()


@pytest.mark.crash
def test_a_forked_process_starts_anew(nats_url: str, nats_prefix: str) -> None:
    assert_a_forked_process_starts_anew(
        f"{nats_url}?prefix={nats_prefix}", "made = broker._connection.made", "assert broker._connection.made == made"
    )


async def test_delays_outlive_the_server(start_nats: StartNats) -> None:
    server = start_nats()
    async with NatsBroker(server.url) as broker:
        late, later = messages(1, delay=1.5), messages(1, delay=60)
        begin = anyio.current_time()
        await broker.kick_many([*late, *later])
        async with broker.subscribe(["default"]) as subscription:
            await nothing_comes(subscription, 0.1)
            await anyio.to_thread.run_sync(server.restart)
            taken = await received(subscription, 1)
            assert anyio.current_time() - begin >= 1.4
            assert bodies(taken) == bodies(late)
            await settled(subscription, taken)
            await nothing_comes(subscription, 0.5)


async def test_streams_that_were_deleted_are_made_again(nats_url: str, nats_prefix: str) -> None:
    """As when a server without a disk is started anew."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many([*messages(1), *messages(1, delay=0.05)])
        await settle(subscription, await collect(subscription, 2))
        for name in ("queues", "state", "dead"):
            await broker._connection.api(f"STREAM.DELETE.{nats_prefix}-{name}")
        sent = [*messages(2), *messages(1, delay=0.05)]
        await broker.kick_many(sent)
        taken = await received(subscription, 3)
        assert bodies(taken) == bodies(sent)
        await settled(subscription, taken)


@pytest.mark.parametrize("part", ["5", "delayed"])
async def test_a_consumer_that_was_deleted_is_made_again(nats_url: str, nats_prefix: str, part: str) -> None:
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(["default"]) as subscription:
        for _ in range(2):
            await broker.kick_many(messages(1, delay=0.05))
            await settled(subscription, await received(subscription, 1))
            await broker._connection.api(f"CONSUMER.DELETE.{nats_prefix}-queues.default-{part}")


async def test_an_orphan_that_nobody_waited_for_counts_its_death(nats_url: str, nats_prefix: str) -> None:
    async with NatsBroker(nats_url, prefix=nats_prefix, lease=1.0) as broker:
        await broker.kick_many(messages(3))
        async with broker.subscribe(["default"]) as dead:
            await collect(dead, 3)
            await anyio.sleep(2.0)
            async with broker.subscribe(["default"]) as alive:
                taken = await collect(alive, 3)
                assert [item.deaths for item in taken] == [1, 1, 1]
                assert [item.attempt for item in taken] == [2, 2, 2]
                await settle(alive, taken)
