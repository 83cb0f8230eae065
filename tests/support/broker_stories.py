"""What happens to every broker on a server: networks break, servers end, processes fork."""

from collections.abc import AsyncGenerator, Generator
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import pytest
from support.processes import DEADLINE, running
from support.tcp_proxy import TcpProxy

from taskiq_core.broker import AsyncBroker
from taskiq_core.exceptions import BrokerError, SendTaskError
from taskiq_core.plugins import broker_from_url
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle, whats_there


async def received(subscription: Any, count: int) -> list[Any]:
    """Receive as a worker does: after an error again."""
    taken: list[Any] = []
    with anyio.fail_after(DEADLINE):
        while len(taken) < count:
            try:
                taken += await subscription.receive(count - len(taken))
            except BrokerError:
                await anyio.sleep(0.05)
    return taken


async def settled(subscription: Any, deliveries: list[Any]) -> None:
    """Settle as a worker does: after an error again."""
    with anyio.fail_after(DEADLINE):
        while True:
            try:
                return await settle(subscription, deliveries)
            except BrokerError:
                await anyio.sleep(0.05)


class BrokerStories:
    """Inherit, with the fixtures `url`, of an empty store, and `server`, one of the test's own that keeps what it confirms."""

    settle = staticmethod(settle)
    """Of what has just come on a new connection; `settled` where the first try may still fail."""

    @pytest.fixture
    def proxy(self, url: str) -> Generator[TcpProxy]:
        """Between `broker` and its server."""
        port = urlsplit(url).port
        assert port is not None
        with TcpProxy(port) as proxy:
            yield proxy

    @pytest.fixture
    async def broker(self, url: str, proxy: TcpProxy) -> AsyncGenerator[AsyncBroker]:
        """Its settings are as short as a busy machine allows."""
        away = url.replace(f":{proxy.target}", f":{proxy.port}")
        async with broker_from_url(away, results=False, lease=3.0, send_timeout=2.0) as broker:
            yield broker
            proxy.resume()

    async def test_a_lost_answer_makes_no_second_message(self, url: str, broker: AsyncBroker, proxy: TcpProxy) -> None:
        """The worker is so fast that the first one is done before the send is repeated: nobody but the server knows of it."""
        async with broker_from_url(url, results=False) as calm, calm.subscribe(["default"]) as subscription:
            for _ in range(2):  # the first messages of all, and later ones
                (sent,) = messages(1)
                cut = proxy.drop_replies(sent.message)
                async with anyio.create_task_group() as group:
                    group.start_soon(broker.kick, sent)
                    await settle(subscription, await collect(subscription, 1))
                assert cut.wait(DEADLINE)
                await nothing_comes(subscription)

    async def test_connections_reset_again_and_again(self, broker: AsyncBroker, proxy: TcpProxy) -> None:
        async with broker.subscribe(["default"]) as subscription:
            for _ in range(5):
                sent = messages(3)
                proxy.reset()
                await broker.kick_many(sent)
                proxy.reset()
                taken = await received(subscription, 3)
                assert bodies(taken) == bodies(sent)
                await self.settle(subscription, taken)
        assert await whats_there(broker) == []

    async def test_a_waiting_worker_hears_again_after_a_reset(self, broker: AsyncBroker, proxy: TcpProxy) -> None:
        async with broker.subscribe(["default"]) as subscription:
            await nothing_comes(subscription)
            proxy.reset()
            async with anyio.create_task_group() as group:
                taken: list[Any] = []

                async def receive() -> None:
                    taken.extend(await received(subscription, 1))

                group.start_soon(receive)
                await broker.kick_many(messages(1))
            await settle(subscription, taken)

    @pytest.mark.parametrize("trouble", ["refuse", "stall", "black_hole"])
    async def test_a_send_has_its_answer_in_time(self, broker: Any, proxy: TcpProxy, trouble: str) -> None:
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

    async def test_a_server_that_was_killed(self, server: Any) -> None:
        """Messages are there, connections are made anew, and who holds something still holds it: no lease ends meanwhile."""
        broker, another = (broker_from_url(server.url, results=False, lease=2.0) for _ in range(2))
        async with broker, another, broker.subscribe(["default"]) as holder, another.subscribe(["default"]) as other:
            sent = messages(4)
            await broker.kick_many(sent)
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
            await self.settle(holder, held)
            await self.settle(other, others)
            assert await whats_there(broker) == []


FORK = """
import asyncio, os, sys
from taskiq_core.exceptions import SendTaskError
from taskiq_core.plugins import broker_from_url
from taskiq_core.testing.broker_tools import bodies, messages, whats_there

broker = broker_from_url(sys.argv[1], results=False)

async def child() -> None:
    try:
        await broker.kick_many(messages(1))
    except SendTaskError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("the parent's connection was used")
    await broker.startup()
    sent = messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    await broker.shutdown()

async def parent() -> bool:
    await broker.startup()
    assert await whats_there(broker) == []
    pid = os.fork()
    if pid == 0:
        return True
    assert (await asyncio.to_thread(os.waitpid, pid, 0))[1] == 0
    {before}
    sent = messages(2)
    await broker.kick_many(sent)
    assert bodies(await whats_there(broker)) == bodies(sent)
    {after}
    await broker.shutdown()
    print("done", flush=True)
    return False

loop = asyncio.new_event_loop()
if loop.run_until_complete(parent()):
    asyncio.run(child())
    os._exit(0)
"""


def assert_a_forked_process_starts_anew(url: str, before: str = "", after: str = "") -> None:
    """And leaves its parent's connections alone, which goes on; statements of the server's own stand around that."""
    with running("python", "-c", FORK.format(before=before, after=after), url) as process:
        process.wait_for_line("done")
        assert process.wait() == 0
