"""From an outbox on PostgreSQL to RabbitMQ and NATS: all of it and once, also if the server is away meanwhile."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.nats_server import NatsServer
from support.nats_servers import nats_prefix, shared_nats
from support.outbox_fixtures import anyio_backend
from support.outboxes import (
    Database,
    assert_a_target_that_is_down_delays_and_loses_nothing,
    database,
    emptied,
    ids_of,
    relaying,
    sent_within,
)
from support.rabbitmq_server import RabbitServer
from support.shared_server import fresh_prefix, shared_url

from taskiq_core.broker import AsyncBroker
from taskiq_core.testing.broker_tools import whats_there
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_rabbitmq import RabbitBroker

__all__ = ["anyio_backend"]

pytestmark = pytest.mark.anyio

COUNT = 2000


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


@pytest.mark.parametrize("target", [on_rabbitmq, on_nats])
async def test_all_of_it_arrives_once(home: Database, target) -> None:
    with target() as broker:
        async with broker.with_outbox(home.broker), relaying(broker):
            sent = await sent_within(home, broker, COUNT) + await sent_within(home, broker, 3, "urgent")
            await emptied(home)
            assert ids_of(broker, await whats_there(broker, ["default", "urgent"])) == sorted(sent)


async def test_a_server_that_is_away_delays_and_loses_nothing(home: Database) -> None:
    with NatsServer() as server:
        async with NatsBroker(server.url).with_outbox(home.broker) as broker:
            await assert_a_target_that_is_down_delays_and_loses_nothing(home, broker, server)
