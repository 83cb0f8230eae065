"""The tables are made and upgraded by whoever comes first."""

import anyio
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_postgres import Database, PostgresBroker, PostgresError, locate, migrations, upgrade
from taskiq_core_brokers_postgres.migrations import VERSION, stored_version

pytestmark = pytest.mark.anyio


def make(schema: str, **options: object) -> PostgresBroker:
    return PostgresBroker(shared_postgres().url, schema=schema, **options)


async def test_any_number_may_start_at_once(postgres_schema: str) -> None:
    brokers = [make(postgres_schema) for _ in range(6)]
    async with anyio.create_task_group() as group:
        for broker in brokers:
            group.start_soon(broker.startup)
    sent = messages(6)
    for broker, message in zip(brokers, sent, strict=True):
        await broker.kick(message)
    assert bodies(await whats_there(brokers[0])) == bodies(sent)
    for broker in brokers:
        await broker.shutdown()


async def test_upgrading_again_does_nothing(postgres_schema: str) -> None:
    location = locate(shared_postgres().url, postgres_schema)
    connection = await Database(location, 5.0).connect()
    try:
        assert await stored_version(connection, postgres_schema) == 0
        assert await upgrade(connection, location) == VERSION
        assert await upgrade(connection, location) == 0
        assert await stored_version(connection, postgres_schema) == VERSION
    finally:
        await connection.close()


async def test_tables_of_a_newer_release_are_left_alone(postgres_schema: str) -> None:
    await upgraded(postgres_schema)
    shared_postgres().ask(f"INSERT INTO {postgres_schema}.schema_versions VALUES (999)")
    with pytest.raises(ConfigurationError, match=r"tables of version 999.*upgrade taskiq-core-brokers-postgres"):
        await make(postgres_schema).startup()


async def test_who_may_not_migrate_is_told(postgres_schema: str) -> None:
    with pytest.raises(ConfigurationError, match="has no tables, this release needs version"):
        await make(postgres_schema, migrate=False).startup()
    await upgraded(postgres_schema)
    broker = make(postgres_schema, migrate=False)
    await broker.startup()
    await broker.shutdown()


async def test_a_schema_made_by_an_administrator_will_do(postgres_schema: str) -> None:
    server, user = shared_postgres(), f"user_{postgres_schema}"
    server.ask(f"CREATE ROLE {user} LOGIN")
    try:
        url = server.url.replace("taskiq@", f"{user}@")
        with pytest.raises(ConfigurationError, match="does not allow this user what is needed"):
            await PostgresBroker(url, schema=postgres_schema).startup()
        server.ask(f"CREATE SCHEMA {postgres_schema} AUTHORIZATION {user}")
        broker, sent = PostgresBroker(url, schema=postgres_schema), messages(2)
        await broker.startup()
        await broker.kick_many(sent)
        assert bodies(await whats_there(broker)) == bodies(sent)
        await broker.shutdown()
    finally:
        server.ask(f"DROP SCHEMA IF EXISTS {postgres_schema} CASCADE")
        server.ask(f"DROP ROLE {user}")


async def test_a_start_waits_for_another_until_the_server_ends_that(postgres_schema: str, caplog, monkeypatch) -> None:
    """It is frozen in its transaction."""
    monkeypatch.setattr(migrations, "_TELL", 0.1)
    frozen, broker = await at_work(postgres_schema, 1.0), make(postgres_schema)
    with anyio.fail_after(DEADLINE):
        await broker.startup()
    assert "Waiting for another process that makes or upgrades the tables" in caplog.text
    await broker.shutdown()
    frozen.terminate()


async def test_a_start_does_not_wait_for_ever(postgres_schema: str, monkeypatch) -> None:
    monkeypatch.setattr(migrations, "_LOCK_WAIT", 0.2)
    busy = await at_work(postgres_schema, DEADLINE)
    with anyio.fail_after(DEADLINE), pytest.raises(PostgresError, match=r"Another process has been .* wait until it is done"):
        await make(postgres_schema).startup()
    await busy.execute("COMMIT")
    await upgraded(postgres_schema)
    busy.terminate()


async def at_work(schema: str, patience: float):
    """A connection that holds the lock of those who upgrade."""
    connection = await Database(locate(shared_postgres().url, schema), patience).connect()
    await connection.execute("BEGIN")
    await connection.execute(migrations._LOCK, schema)
    return connection


async def upgraded(schema: str) -> None:
    broker = make(schema)
    await broker.startup()
    await broker.shutdown()
