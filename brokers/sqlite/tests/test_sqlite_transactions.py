"""What is sent within a transaction on the queue's own file, by each kind of connection: sent if and only if that commits."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from support.transactions import assert_only_what_is_committed_is_sent, by_core, by_session, ids_in

from taskiq_core import call
from taskiq_core.exceptions import ConfigurationError, MessageTooLargeError, SendTaskError
from taskiq_core.testing.broker_tools import take_one
from taskiq_core_brokers_sqlite import SQLiteBroker

pytestmark = pytest.mark.anyio

SQLALCHEMY = "sqlite+aiosqlite:///"


@pytest.fixture
def anyio_backend() -> str:
    """The async drivers need asyncio."""
    return "asyncio"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[SQLiteBroker]:
    async with SQLiteBroker(tmp_path / "app.db") as broker:
        yield broker


@pytest.fixture
async def confirm(broker: SQLiteBroker):
    @broker.task(queue="orders")
    async def confirm(order: int) -> None: ...

    with sqlite3.connect(broker.path) as made:
        made.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    return confirm


async def test_a_synchronous_program(broker: SQLiteBroker, confirm) -> None:
    def send() -> str:
        connection = sqlite3.connect(broker.path)
        connection.row_factory = lambda cursor, row: {column[0]: row[i] for i, column in enumerate(cursor.description)}
        with pytest.raises(ZeroDivisionError), connection:
            connection.execute("INSERT INTO orders VALUES (1)")
            with broker.within(connection):
                assert confirm.kiq_sync(1).outcome == "pending"
            raise ZeroDivisionError
        with connection:
            connection.execute("INSERT INTO orders VALUES (2)")
            with broker.within(connection):
                handle = confirm.kiq_sync(2)
        connection.close()
        return handle.task_id

    sent = await asyncio.to_thread(send)
    assert await ids_in(broker) == [sent]


async def test_a_waiting_worker_finds_it_by_looking(broker: SQLiteBroker, confirm) -> None:
    connection = sqlite3.connect(broker.path)
    async with broker.subscribe(["orders"]) as subscription:
        waiting = asyncio.create_task(take_one(subscription))
        with connection, broker.within(connection):
            handle = await confirm.kiq(1)
        assert handle.task_id.encode() in (await waiting).body
    connection.close()


@asynccontextmanager
async def by_aiosqlite(path):
    async with aiosqlite.connect(path) as connection:
        yield connection, connection.commit, connection.rollback


@pytest.mark.parametrize(("opened", "scheme"), [(by_aiosqlite, ""), (by_session, SQLALCHEMY), (by_core, SQLALCHEMY)])
async def test_async_connections(broker: SQLiteBroker, confirm, opened, scheme: str) -> None:
    await assert_only_what_is_committed_is_sent(broker, confirm, opened(f"{scheme}{broker.path}"))


@pytest.mark.parametrize("as_session", [True, False])
async def test_sqlalchemy_in_synchronous_code(broker: SQLiteBroker, confirm, as_session: bool) -> None:
    def send() -> str:
        engine = sqlalchemy.create_engine(f"sqlite:///{broker.path}")
        with Session(engine) if as_session else engine.connect() as connection:
            with broker.within(connection):
                confirm.kiq_sync(1)
            connection.rollback()
            with broker.within(connection):
                handle = confirm.kiq_sync(2)
            connection.commit()
        engine.dispose()
        return handle.task_id

    sent = await asyncio.to_thread(send)
    assert await ids_in(broker) == [sent]


async def test_many_in_one_transaction(broker: SQLiteBroker, confirm) -> None:
    with sqlite3.connect(broker.path) as connection, broker.within(connection):
        await confirm.kiq_many([call(number) for number in range(250)])
    assert (await broker.admin.depth("orders")).ready == 250


async def test_connections_that_will_not_do(broker: SQLiteBroker, confirm, tmp_path: Path) -> None:
    elsewhere, memory = sqlite3.connect(tmp_path / "other.db"), sqlite3.connect(":memory:")
    itself = sqlite3.connect(broker.path, isolation_level=None)
    for connection, sentence in (
        (elsewhere, r"is to .*other\.db, and the queue is in .*app\.db"),
        (memory, "is to a database in memory"),
        (itself, "has no transaction"),
        (object(), "sqlite3 or aiosqlite"),
        (itself.cursor(), "not sqlite3.Cursor"),
    ):
        with broker.within(connection), pytest.raises(ConfigurationError, match=sentence):
            await confirm.kiq(1)
    async with aiosqlite.connect(broker.path, isolation_level=None) as without:
        with broker.within(without), pytest.raises(ConfigurationError, match="has no transaction"):
            await confirm.kiq(1)
    assert await ids_in(broker) == []
    itself.execute("BEGIN")
    with broker.within(itself):
        await confirm.kiq(1)
    itself.execute("COMMIT")
    assert len(await ids_in(broker)) == 1


async def test_a_file_without_tables_and_a_locked_one(broker: SQLiteBroker, confirm, tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    fresh = SQLiteBroker(tmp_path / "new.db")
    with sqlite3.connect(fresh.path) as connection, fresh.within(connection):
        with pytest.raises(SendTaskError, match="start the broker once"):
            await confirm.kicker().with_broker(fresh).kiq(1)
    other, mine = sqlite3.connect(broker.path), sqlite3.connect(broker.path, timeout=0.05)
    other.execute("BEGIN IMMEDIATE")
    with broker.within(mine), pytest.raises(SendTaskError, match="others write to the file") as caught:
        await confirm.kiq(1)
    assert caught.value.outcome == "refused"
    other.rollback()
    broker.max_message_size = 10
    with broker.within(mine), pytest.raises(MessageTooLargeError):
        await confirm.kiq(1)
