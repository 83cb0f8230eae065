"""Servers that end and networks that break: what was open works again, and nothing is sent or run twice."""

import anyio
import anyio.to_thread
import pytest
from support.nats_fixtures import StartNats
from support.nats_server import NatsServer
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.exceptions import BrokerError, SendTaskError
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server():
    with NatsServer() as server:
        yield server


@pytest.fixture
def proxy(server: NatsServer):
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def broker(server: NatsServer, proxy: TcpProxy, request: pytest.FixtureRequest):
    prefix = request.node.name.replace("[", "-").strip("]")[:60]
    broker = NatsBroker(server.url_at(proxy.port), prefix=prefix, lease=3.0, send_timeout=2.0)
    await broker.startup()
    yield broker
    proxy.resume()
    await broker.shutdown()


async def received(subscription, count: int) -> list:
    """Receive as a worker does: after an error again."""
    taken: list = []
    with anyio.fail_after(DEADLINE):
        while len(taken) < count:
            try:
                taken += await subscription.receive(count - len(taken))
            except BrokerError:
                await anyio.sleep(0.05)
    return taken


async def settled(subscription, deliveries: list) -> None:
    """Settle as a worker does."""
    with anyio.fail_after(DEADLINE):
        while True:
            try:
                await settle(subscription, deliveries)
            except BrokerError:
                await anyio.sleep(0.05)
            else:
                return


async def test_a_lost_answer_makes_no_second_message(server: NatsServer, broker: NatsBroker, proxy: TcpProxy) -> None:
    """The worker is so fast that the first one is done before the send is repeated: nobody but the server knows of it."""
    (sent,) = messages(1)
    calm = NatsBroker(server.url, prefix=broker.location.prefix)
    async with calm, calm.subscribe(["default"]) as subscription:
        await broker.kick_many(messages(1))
        await settle(subscription, await collect(subscription, 1))
        cut = proxy.drop_replies(sent.message)
        async with anyio.create_task_group() as group:
            group.start_soon(broker.kick, sent)
            await settle(subscription, await collect(subscription, 1))
        assert cut.is_set()
        await nothing_comes(subscription)


async def test_connections_reset_again_and_again(broker: NatsBroker, proxy: TcpProxy) -> None:
    async with broker.subscribe(["default"]) as subscription:
        for _ in range(5):
            sent = messages(3)
            proxy.reset()
            await broker.kick_many(sent)
            proxy.reset()
            taken = await received(subscription, 3)
            assert bodies(taken) == bodies(sent)
            await settled(subscription, taken)
    assert await whats_there(broker) == []


async def test_a_waiting_worker_hears_again_after_a_reset(broker: NatsBroker, proxy: TcpProxy) -> None:
    async with broker.subscribe(["default"]) as subscription:
        await nothing_comes(subscription)
        proxy.reset()
        async with anyio.create_task_group() as group:
            taken: list = []

            async def receive() -> None:
                taken.extend(await received(subscription, 1))

            group.start_soon(receive)
            await broker.kick_many(messages(1))
        await settle(subscription, taken)


@pytest.mark.parametrize("trouble", ["refuse", "stall", "black_hole"])
async def test_a_send_has_its_answer_in_time(broker: NatsBroker, proxy: TcpProxy, trouble: str) -> None:
    await broker.kick_many(messages(1))
    getattr(proxy, trouble)()
    if trouble == "refuse":
        proxy.reset()
    begin, (lost,) = anyio.current_time(), messages(1)
    with pytest.raises(SendTaskError) as raised:
        await broker.kick(lost)
    assert anyio.current_time() - begin < 2 * broker.send_timeout
    assert raised.value.outcome in ({"refused", "unknown"} if trouble == "refuse" else {"unknown"})
    proxy.resume()
    again = messages(1)
    await broker.kick_many([lost, *again])
    assert {item.message for item in again} | {lost.message} <= set(bodies(await whats_there(broker)))


async def test_a_server_that_was_killed(start_nats: StartNats) -> None:
    """Messages are there, connections are made anew, and who holds something still holds it: it says so before it is taken."""
    server = start_nats()
    async with NatsBroker(server.url, lease=2.0) as broker, NatsBroker(server.url, lease=2.0) as another:
        sent = messages(4)
        await broker.kick_many(sent)
        async with broker.subscribe(["default"]) as holder, another.subscribe(["default"]) as other:
            held = await collect(holder, 2)
            server.kill()
            await anyio.sleep(2.5)
            await anyio.to_thread.run_sync(server.start)
            others = await received(other, 2)
            assert bodies([*held, *others]) == bodies(sent)
            assert not await holder.extend(held)
            await nothing_comes(other, 0.5)
            await settled(holder, held)
            await settled(other, others)
        assert await whats_there(broker) == []


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
