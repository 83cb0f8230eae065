"""What is sent within a transaction on PostgreSQL, by each kind of connection: sent if and only if that commits."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import async_scoped_session
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from support.postgres_servers import shared_postgres
from support.transactions import assert_only_what_is_committed_is_sent, by_core, by_session, ids_in

from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.testing.broker_tools import nothing_comes, settle, take_one
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        yield broker


@pytest.fixture
async def confirm(broker: PostgresBroker):
    @broker.task(queue="orders")
    async def confirm(order: int) -> None: ...

    return confirm


@pytest.fixture
async def connection():
    connection = await asyncpg.connect(shared_postgres().url)
    yield connection
    await connection.close()


async def test_what_is_sent_comes_with_the_commit(broker: PostgresBroker, confirm, connection) -> None:
    async with broker.subscribe(["orders"]) as subscription:
        async with connection.transaction():
            with broker.within(connection):
                handle = await confirm.kiq(1)
                assert handle.outcome == "pending"
            await nothing_comes(subscription)
        taken = await take_one(subscription)
        assert handle.task_id.encode() in taken.body
        await settle(subscription, [taken])
    assert (await confirm.kiq(2)).outcome == "queued"


@asynccontextmanager
async def by_psycopg(url):
    async with await psycopg.AsyncConnection.connect(url) as connection:
        yield connection, connection.commit, connection.rollback


@asynccontextmanager
async def by_scoped_session(url):
    async with by_session(url) as (session, commit, rollback):
        yield async_scoped_session(lambda: session, asyncio.current_task), commit, rollback


@asynccontextmanager
async def from_pool(url):
    async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection:
        transactions = [connection.transaction()]
        await transactions[0].start()

        async def roll_back() -> None:
            await transactions.pop().rollback()
            transactions.append(connection.transaction())
            await transactions[0].start()

        async def commit() -> None:
            await transactions[0].commit()

        yield connection, commit, roll_back


@pytest.mark.parametrize(
    ("opened", "scheme"),
    [
        (by_psycopg, "postgresql"),
        (from_pool, "postgresql"),
        (by_scoped_session, "postgresql+asyncpg"),
        (by_session, "postgresql+asyncpg"),
        (by_session, "postgresql+psycopg"),
        (by_core, "postgresql+asyncpg"),
        (by_core, "postgresql+psycopg"),
    ],
)
async def test_async_connections(broker: PostgresBroker, confirm, opened, scheme: str) -> None:
    url = shared_postgres().url.replace("postgresql:", f"{scheme}:")
    await assert_only_what_is_committed_is_sent(broker, confirm, opened(url))


class OwnSession(Session):
    """As frameworks have them."""


def sync_connections():
    url = shared_postgres().url
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    yield psycopg.connect(url)
    yield engine.connect()
    yield OwnSession(engine)
    yield scoped_session(sessionmaker(engine))
    engine.dispose()


async def test_sync_connections(broker: PostgresBroker, confirm) -> None:
    def send() -> list[str]:
        sent: list[str] = []
        for connection in sync_connections():
            with broker.within(connection):
                confirm.kiq_sync(1)
            connection.rollback()
            with broker.within(connection):
                sent.append(confirm.kiq_sync(2).task_id)
            connection.commit()
            connection.close()
        return sent

    sent = await asyncio.to_thread(send)
    assert len(sent) == 4
    assert await ids_in(broker) == sorted(sent)


async def test_a_sync_connection_in_async_code(broker: PostgresBroker, confirm) -> None:
    with psycopg.connect(shared_postgres().url) as connection:
        with broker.within(connection):
            handle = await confirm.kiq(1)
    assert await ids_in(broker) == [handle.task_id]


async def test_an_async_connection_in_sync_code_is_refused(broker: PostgresBroker, confirm, connection) -> None:
    def send() -> None:
        with broker.within(connection):
            confirm.kiq_sync(1)

    async with connection.transaction():
        with pytest.raises(ConfigurationError, match="belongs to an event loop"):
            await asyncio.to_thread(send)
    assert await ids_in(broker) == []


async def test_a_connection_without_a_transaction_is_refused(broker: PostgresBroker, confirm, connection) -> None:
    autocommit = await psycopg.AsyncConnection.connect(shared_postgres().url, autocommit=True)
    engine = sqlalchemy.create_engine(
        shared_postgres().url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as by_engine:
        for without in (connection, autocommit, by_engine):
            with broker.within(without), pytest.raises(ConfigurationError, match="has no transaction"):
                await confirm.kiq(1)
    async with autocommit.transaction():
        with broker.within(autocommit):
            await confirm.kiq(1)
    await autocommit.close()
    engine.dispose()
    for other in (object(), engine, asyncpg.create_pool(shared_postgres().url)):
        with broker.within(other), pytest.raises(ConfigurationError, match="asyncpg or psycopg 3, or a connection or session"):
            await confirm.kiq(1)
    assert len(await ids_in(broker)) == 1


async def test_a_failed_transaction_says_so(broker: PostgresBroker, confirm, connection) -> None:
    async with connection.transaction():
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT 1 / 0")
        with broker.within(connection), pytest.raises(SendTaskError, match="current transaction is aborted") as caught:
            await confirm.kiq(1)
    assert caught.value.outcome == "refused"


async def test_tables_of_that_name_in_another_database_are_refused(broker: PostgresBroker, confirm) -> None:
    url = urlsplit(shared_postgres().url)
    name = broker.location.schema
    admin = await asyncpg.connect(shared_postgres().url)
    await admin.execute(f'CREATE DATABASE "{name}"')
    elsewhere = urlunsplit(url._replace(path=f"/{name}"))
    try:
        async with PostgresBroker(elsewhere, schema=name) as other:
            engine = sqlalchemy.create_engine(elsewhere.replace("postgresql:", "postgresql+psycopg:"))
            asynchronous, by_engine = await asyncpg.connect(elsewhere), engine.connect()
            async with asynchronous.transaction():
                for connection in (asynchronous, by_engine):
                    with broker.within(connection), pytest.raises(ConfigurationError, match="to another database"):
                        await confirm.kiq(1)
            assert await ids_in(other) == []
            await asynchronous.close()
            by_engine.close()
            engine.dispose()
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


async def test_another_database_is_told(confirm, connection) -> None:
    elsewhere = PostgresBroker(shared_postgres().url, schema="never_made")
    async with connection.transaction():
        with elsewhere.within(connection), pytest.raises(SendTaskError, match="has no tables of this broker"):
            await confirm.kicker().with_broker(elsewhere).kiq(1)
