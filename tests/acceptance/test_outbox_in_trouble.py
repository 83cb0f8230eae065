"""The outbox while one of its two servers is away, or can never be used."""

import anyio
import asyncpg
import pytest
from support.outbox_fixtures import anyio_backend, home
from support.outboxes import (
    Database,
    assert_a_target_that_is_down_delays_and_loses_nothing,
    emptied,
    ids_of,
    relaying,
)
from support.postgres_fixtures import start_postgres
from support.redis_server import RedisServer

from taskiq_core import call
from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.testing.broker_tools import collect, settle
from taskiq_core.worker import Worker
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_redis import RedisBroker

__all__ = ["anyio_backend", "home", "start_postgres"]

pytestmark = pytest.mark.anyio


async def test_a_target_that_is_down_delays_and_loses_nothing(home: Database, start_redis) -> None:
    server: RedisServer = start_redis("appendonly yes")
    async with RedisBroker(server.url, send_timeout=1.0).with_outbox(home.broker) as broker:
        await assert_a_target_that_is_down_delays_and_loses_nothing(home, broker, server)


async def test_a_database_that_is_away_for_a_while(start_postgres, redis_url: str, redis_prefix: str) -> None:
    server = start_postgres("fsync = off")
    outbox = PostgresBroker(server.url)
    async with RedisBroker(redis_url, prefix=redis_prefix).with_outbox(outbox) as broker:
        home = Database("", outbox)
        async with relaying(broker):
            await emptied(home)
            server.restart()
            connection = await asyncpg.connect(server.url)
            async with connection.transaction():
                with broker.within(connection):
                    handles = await broker.kicker("note").kiq_many([call(number) for number in range(10)])
            await connection.close()
            async with broker.subscribe(["default"]) as subscription:
                taken = await collect(subscription, 10)
                assert ids_of(broker, taken) == sorted(handle.task_id for handle in handles)
                await settle(subscription, taken)


class Broken(InMemoryBroker):
    """An outbox that does not start."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.tries = 0
        self.tried_again = anyio.Event()

    async def startup(self) -> None:
        self.tries += 1
        if self.tries > 2:
            self.tried_again.set()
        raise self.error


async def test_an_outbox_that_cannot_be_used(redis_url: str, redis_prefix: str) -> None:
    def with_broken(error: Exception) -> tuple[AsyncBroker, Broken]:
        outbox = Broken(error)
        outbox.capabilities |= type(outbox.capabilities).TRANSACTIONS
        return RedisBroker(redis_url, prefix=redis_prefix).with_outbox(outbox), outbox

    broker, _ = with_broken(ConfigurationError(reason="tables of another version"))
    with anyio.fail_after(10), pytest.raises(ConfigurationError, match="another version"):
        await Worker(broker).run()
    broker, outbox = with_broken(BrokerError(reason="away"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            worker = Worker(broker)
            group.start_soon(worker.run)
            await outbox.tried_again.wait()
            worker.stop()
