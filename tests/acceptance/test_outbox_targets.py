"""From an outbox on PostgreSQL to RabbitMQ and NATS: all of it and once, also if the server is away meanwhile."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from support.nats_server import NatsServer
from support.nats_servers import nats_prefix, shared_nats
from support.outboxes import Database, database
from support.rabbitmq_server import RabbitServer
from support.shared_server import fresh_prefix, shared_url

from taskiq_core import call
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.testing.broker_tools import whats_there
from taskiq_core.worker.relay import Relay
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio

COUNT = 2000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The servers' plugins need asyncio."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path) -> Generator[Database]:
    """The application's database."""
    with database("postgres", tmp_path, lease=5.0) as home:
        yield home


@contextmanager
def on_rabbitmq() -> Generator[AsyncBroker]:
    yield RabbitBroker(shared_url(RabbitServer), prefix=fresh_prefix())


@contextmanager
def on_nats() -> Generator[AsyncBroker]:
    with nats_prefix() as prefix:
        yield NatsBroker(shared_nats().url, prefix=prefix)


async def sent_within(home: Database, broker: AsyncBroker, count: int, queue: str = "default") -> list[str]:
    """The ids of tasks that were sent in one transaction; others were rolled back."""
    kicker = broker.kicker("note").with_queue(queue)
    with pytest.raises(ZeroDivisionError):
        async with home.transaction() as connection:
            with broker.within(connection):
                await kicker.kiq(-1)
            raise ZeroDivisionError
    async with home.transaction() as connection:
        with broker.within(connection):
            handles = await kicker.kiq_many([call(number) for number in range(count)])
    return sorted(handle.task_id for handle in handles)


async def emptied(home: Database) -> None:
    with anyio.fail_after(40):
        while await home.depth() != QueueDepth():
            await anyio.sleep(0.02)


async def arrived(broker: AsyncBroker, *queues: str) -> list[str]:
    return sorted(broker.formatter.loads(item.body).task_id for item in await whats_there(broker, queues))


@pytest.mark.parametrize("target", [on_rabbitmq, on_nats])
async def test_all_of_it_arrives_once(home: Database, target) -> None:
    with target() as broker:
        async with broker.with_outbox(home.broker), anyio.create_task_group() as group:
            relay = Relay(broker, broker.outbox, grace=5.0)
            group.start_soon(relay.run)
            sent = await sent_within(home, broker, COUNT) + await sent_within(home, broker, 3, "urgent")
            await emptied(home)
            assert await arrived(broker, "default", "urgent") == sorted(sent)
            relay.stop()


async def test_a_server_that_is_away_delays_and_loses_nothing(home: Database) -> None:
    with NatsServer() as server:
        async with NatsBroker(server.url).with_outbox(home.broker) as broker, anyio.create_task_group() as group:
            relay = Relay(broker, broker.outbox, grace=5.0)
            group.start_soon(relay.run)
            sent = await sent_within(home, broker, 1)
            await emptied(home)
            server.kill()
            sent += await sent_within(home, broker, 20)
            assert await home.depth() != QueueDepth()
            server.restart()
            await emptied(home)
            relay.stop()
            assert await arrived(broker, "default") == sorted(sent)
