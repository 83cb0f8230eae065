"""What a server has forgotten that was killed together with all workers: that it deleted what was acknowledged."""

import shutil

import anyio
import anyio.to_thread
import pytest
from support.nats_fixtures import StartNats
from support.nats_server import NatsServer
from support.processes import DEADLINE

from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_nats.subscription import NatsSubscription

pytestmark = pytest.mark.anyio


@pytest.fixture
async def forgetful(start_nats: StartNats) -> tuple[NatsServer, list[BrokerMessage]]:
    """A server with messages that were acknowledged before it started, and one that waits."""
    server = start_nats()
    done, left = messages(5), messages(1)
    async with NatsBroker(server.url) as broker:
        await broker.kick_many([*done, *left])
    stream, kept = server.folder / "jetstream/$G/streams/taskiq-queues/msgs", server.folder / "kept"
    await anyio.to_thread.run_sync(server.stop)
    shutil.copytree(stream, kept)
    await anyio.to_thread.run_sync(server.start)
    async with NatsBroker(server.url) as broker, broker.subscribe(["default"]) as subscription:
        await settle(subscription, await collect(subscription, 5, limit=5))
    await anyio.to_thread.run_sync(server.stop)
    shutil.rmtree(stream)
    kept.rename(stream)
    await anyio.to_thread.run_sync(server.start)
    return server, done


async def test_what_is_acknowledged_does_not_stay(forgetful: tuple[NatsServer, list[BrokerMessage]]) -> None:
    server, done = forgetful
    async with NatsBroker(server.url) as broker:
        assert await _stored(broker) == 6
        async with broker.subscribe(["default"]) as subscription:
            (left,) = await collect(subscription, 1)
            with anyio.fail_after(DEADLINE):
                while await _stored(broker) > 1:
                    await anyio.sleep(0.01)
            await nothing_comes(subscription)
            await broker.kick_many(done)  # as the server knew neither, these ids are free
            again = await collect(subscription, 5)
            assert bodies(again) == bodies(done)
            await settle(subscription, [left, *again])
        assert await _stored(broker) == 0


async def test_nobody_looks_any_more_for_who_has_left(nats_url: str, nats_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for a link that came while it left."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(["default"]) as holder:
        await broker.kick_many(messages(1))
        held = await collect(holder, 1)
        async with broker.subscribe(["default"]) as leaving:
            assert isinstance(leaving, NatsSubscription)
            leave = leaving._leave

            async def leave_slowly() -> None:
                leaving._servers.clear()
                leaving._linked(await broker._connection.usable())
                assert leaving._tending
                await leave()

            monkeypatch.setattr(leaving, "_leave", leave_slowly)
        with anyio.fail_after(DEADLINE):
            while leaving._tending:
                await anyio.sleep(0)
        await settle(holder, held)


async def _stored(broker: NatsBroker) -> int:
    found = await broker._connection.api(f"STREAM.INFO.{broker.location.prefix}-queues")
    return int(found["state"]["messages"])
