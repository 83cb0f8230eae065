"""Outboxes on each kind of database, with transactions of the application's on it."""

import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.postgres_servers import fresh_schema, shared_postgres, transaction

from taskiq_core import call
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.outbox import OUTBOX_QUEUE
from taskiq_core.testing.broker_tools import whats_there
from taskiq_core.worker.relay import Relay
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_brokers_sqlite import SQLiteBroker

KINDS = ("postgres", "sqlite")


@dataclass(frozen=True)
class Database:
    """Where an outbox is."""

    code: str
    """An expression that makes the outbox's broker, for a module of another process."""
    broker: AsyncBroker

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A connection of the application's; it commits at its end, and rolls back after an error."""
        return _sqlite_transaction(self.broker) if isinstance(self.broker, SQLiteBroker) else transaction()

    async def depth(self) -> QueueDepth:
        """What is in the outbox, which must be started."""
        assert self.broker.admin is not None
        return await self.broker.admin.depth(OUTBOX_QUEUE)


@contextmanager
def database(kind: str, folder: Path, lease: float = 30.0) -> Generator[Database]:
    """An empty one, of one of the `KINDS`."""
    if kind == "sqlite":
        path = folder / "outbox.db"
        yield Database(f"SQLiteBroker({str(path)!r}, lease={lease})", SQLiteBroker(path, lease=lease))
    else:
        with fresh_schema() as schema:
            make = partial(PostgresBroker, shared_postgres().url, schema=schema, lease=lease)
            code = f"PostgresBroker({shared_postgres().url!r}, schema={schema!r}, lease={lease})"
            yield Database(code, make())


@asynccontextmanager
async def _sqlite_transaction(broker: SQLiteBroker) -> AsyncGenerator[Any]:
    with closing(sqlite3.connect(broker.path)) as connection, connection:
        yield connection


@asynccontextmanager
async def relaying(broker: Any, count: int = 1) -> AsyncGenerator[None]:
    """Relays of a started broker run within it."""
    relays = [Relay(broker, broker.outbox, grace=5.0) for _ in range(count)]
    async with anyio.create_task_group() as group:
        for relay in relays:
            group.start_soon(relay.run)
        yield
        for relay in relays:
            relay.stop()


async def emptied(home: Database) -> None:
    """Wait until nothing is in the outbox, which must be started."""
    with anyio.fail_after(40):
        while await home.depth() != QueueDepth():
            await anyio.sleep(0.01)


def ids_of(broker: AsyncBroker, deliveries: list[Any]) -> list[str]:
    """The ids of tasks that were received."""
    return sorted(broker.formatter.loads(item.body).task_id for item in deliveries)


async def sent_within(home: Database, broker: AsyncBroker, count: int, queue: str = "default") -> list[str]:
    """The ids of tasks that were sent in one transaction; another one was rolled back."""
    kicker = broker.kicker("note").with_queue(queue)
    with pytest.raises(ZeroDivisionError):
        async with home.transaction() as connection:
            with broker.within(connection):
                await kicker.kiq(-1)
            raise ZeroDivisionError
    async with home.transaction() as connection:
        with broker.within(connection):
            handles = await kicker.kiq_many([call(number) for number in range(count)])
    return [handle.task_id for handle in handles]


async def assert_a_target_that_is_down_delays_and_loses_nothing(home: Database, broker: AsyncBroker, server: Any) -> None:
    """The server of `broker`, which is started and whose outbox is at `home`, is killed and comes back."""
    async with relaying(broker):
        sent = await sent_within(home, broker, 1)
        await emptied(home)
        server.kill()
        sent += await sent_within(home, broker, 20)
        assert await home.depth() != QueueDepth()
        server.restart()
        await emptied(home)
    assert ids_of(broker, await whats_there(broker)) == sorted(sent)
