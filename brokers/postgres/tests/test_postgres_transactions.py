"""A task that is sent within the caller's transaction is sent if and only if that commits."""

import asyncpg
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.testing.broker_tools import bodies, messages, nothing_comes, settle, take_one, whats_there
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        yield broker


@pytest.fixture
async def connection():
    connection = await asyncpg.connect(shared_postgres().url)
    yield connection
    await connection.close()


async def test_what_is_sent_comes_with_the_commit(broker: PostgresBroker, connection) -> None:
    (sent,) = messages(1)
    async with broker.subscribe(["default"]) as subscription:
        async with connection.transaction():
            with broker.within(connection):
                await broker.kick(sent)
            await nothing_comes(subscription)
        taken = await take_one(subscription)
        assert taken.body == sent.message
        await settle(subscription, [taken])


async def test_what_is_rolled_back_is_not_sent(broker: PostgresBroker, connection) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connection.transaction():
            with broker.within(connection):
                await broker.kick_many(messages(3))
            raise ZeroDivisionError
    after = messages(2)
    await broker.kick_many(after)
    assert bodies(await whats_there(broker)) == bodies(after)


async def test_tasks_are_sent_by_their_own_calls(broker: PostgresBroker, connection) -> None:
    @broker.task(queue="orders", delay=0.0)
    async def confirm(order: int) -> None: ...

    async with connection.transaction():
        with broker.within(connection):
            handle = await confirm.kiq(1)
    (back,) = await whats_there(broker, ["orders"])
    assert handle.task_id.encode() in back.body


async def test_a_connection_without_a_transaction_is_refused(broker: PostgresBroker, connection) -> None:
    with broker.within(connection), pytest.raises(ConfigurationError, match="has no transaction"):
        await broker.kick_many(messages(1))
    with broker.within(object()), pytest.raises(ConfigurationError, match="asyncpg, psycopg or SQLAlchemy"):
        await broker.kick_many(messages(1))


async def test_a_failed_transaction_says_so(broker: PostgresBroker, connection) -> None:
    async with connection.transaction():
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT 1 / 0")
        with broker.within(connection), pytest.raises(SendTaskError, match="current transaction is aborted"):
            await broker.kick_many(messages(1))


async def test_psycopg(broker: PostgresBroker) -> None:
    psycopg = pytest.importorskip("psycopg", reason="needs psycopg")
    first, second = messages(2), messages(2)
    async with await psycopg.AsyncConnection.connect(shared_postgres().url) as connection:
        with broker.within(connection):
            await broker.kick_many(first)
        await connection.rollback()
        with broker.within(connection):
            await broker.kick_many(second)
    assert bodies(await whats_there(broker)) == bodies(second)


async def test_sqlalchemy(broker: PostgresBroker) -> None:
    alchemy = pytest.importorskip("sqlalchemy.ext.asyncio", reason="needs SQLAlchemy")
    engine = alchemy.create_async_engine(shared_postgres().url.replace("postgresql:", "postgresql+asyncpg:"))
    first, second = messages(2), messages(2)
    async with alchemy.AsyncSession(engine) as session:
        with broker.within(session):
            await broker.kick_many(first)
        await session.rollback()
        with broker.within(session):
            await broker.kick_many(second)
        await session.commit()
    await engine.dispose()
    assert bodies(await whats_there(broker)) == bodies(second)
