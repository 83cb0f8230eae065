"""Servers that end and networks that break: what was open works again, and nothing is sent twice."""

import anyio
import anyio.to_thread
import pytest
from support.postgres_fixtures import StartPostgres
from support.postgres_server import PostgresServer
from support.processes import DEADLINE
from support.tcp_proxy import TcpProxy

from taskiq_core.exceptions import BrokerError, SendTaskError
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as server:
        yield server


@pytest.fixture
def proxy(server: PostgresServer):
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def broker(server: PostgresServer, proxy: TcpProxy, request: pytest.FixtureRequest):
    schema = request.node.name.partition("[")[0][:40]
    broker = PostgresBroker(server.url_at(proxy.port), schema=schema, lease=3.0, send_timeout=2.0)
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


async def test_a_lost_answer_makes_no_second_message(broker: PostgresBroker, proxy: TcpProxy) -> None:
    """The worker is so fast that the first one is done before the send is repeated: nobody but the server knows of it."""
    (sent,) = messages(1)
    calm = PostgresBroker(broker.location.dsn.replace(str(proxy.port), str(proxy.target)), schema=broker.location.schema)
    async with calm, calm.subscribe(["default"]) as subscription:
        cut = proxy.drop_replies(sent.message)
        async with anyio.create_task_group() as group:
            group.start_soon(broker.kick, sent)
            await settle(subscription, await collect(subscription, 1))
        assert cut.is_set()
        await nothing_comes(subscription)


async def test_connections_reset_again_and_again(broker: PostgresBroker, proxy: TcpProxy) -> None:
    async with broker.subscribe(["default"]) as subscription:
        for _ in range(5):
            sent = messages(3)
            proxy.reset()
            await broker.kick_many(sent)
            proxy.reset()
            taken = await received(subscription, 3)
            assert bodies(taken) == bodies(sent)
            await settle(subscription, taken)
    assert await whats_there(broker) == []


async def test_a_waiting_worker_hears_again_after_a_reset(broker: PostgresBroker, proxy: TcpProxy) -> None:
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
async def test_a_send_has_its_answer_in_time(broker: PostgresBroker, proxy: TcpProxy, trouble: str) -> None:
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


async def test_a_server_that_was_restarted(start_postgres: StartPostgres) -> None:
    """Messages are there, connections are made anew, and who holds something still holds it: no lease ends meanwhile."""
    server = start_postgres("fsync = on", "full_page_writes = on")
    async with PostgresBroker(server.url, lease=2.0) as broker:
        sent = messages(4)
        await broker.kick_many(sent)
        async with broker.subscribe(["default"]) as holder, broker.subscribe(["default"]) as other:
            held = await collect(holder, 2)
            server.kill()
            with pytest.raises(BrokerError):
                await holder.settle([])
                await holder.extend(held)
            await anyio.sleep(2.5)
            await anyio.to_thread.run_sync(server.start)
            others = await received(other, 2)
            assert bodies([*held, *others]) == bodies(sent)
            assert not await holder.extend(held)
            await nothing_comes(other, 0.5)
            await settle(holder, held)
            await settle(other, others)
        assert await whats_there(broker) == []


async def test_a_holder_that_was_cut_off_keeps_what_it_holds(broker: PostgresBroker, proxy: TcpProxy) -> None:
    """All workers were: the first that comes back finds its lease ended, and gives everybody time to renew theirs."""
    await broker.kick_many(messages(2))
    async with broker.subscribe(["default"]) as first, broker.subscribe(["default"]) as second:
        held = [*await collect(first, 1), *await collect(second, 1)]
        proxy.refuse()
        proxy.reset()
        await anyio.sleep(3.5)
        proxy.resume()
        with anyio.move_on_after(1.0):
            assert not await received(first, 1)
        assert not await second.extend(held[1:])
        assert not await first.extend(held[:1])
        await settle(first, held[:1])
        await settle(second, held[1:])
    assert await whats_there(broker) == []
