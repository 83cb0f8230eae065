"""Consumers that cannot have what is there wait for it without asking all the time."""

from collections import Counter

import anyio
import anyio.lowlevel
import asyncpg
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.testing.broker_tools import bodies, collect, messages, settle
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio

_WATCHED = 1.0
"""Seconds."""
_MOST = 200
"""Statements in that time: twenty turns, of some statements each. Without a pause there are thousands."""


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        yield broker


@pytest.fixture
async def stranger(broker: PostgresBroker):
    """A connection of somebody else's, with a transaction begun."""
    connection = await asyncpg.connect(broker.location.dsn)
    await connection.execute("BEGIN")
    yield connection
    connection.terminate()


async def statements_of(broker: PostgresBroker, subscription) -> int:
    """How many are sent while it waits in vain."""
    asked, fetch = Counter(), broker._database.fetch

    async def counted(statement, *arguments):
        asked[statement] += 1
        return await fetch(statement, *arguments)

    broker._database.fetch = counted
    with anyio.move_on_after(_WATCHED):
        while True:  # a call may end empty-handed, and the next one must not ask at once either
            assert not await subscription.receive(10)
            await anyio.lowlevel.checkpoint()
    broker._database.fetch = fetch
    return asked.total()


@pytest.mark.parametrize("delay", [None, 0.001])
async def test_what_others_have_locked(broker: PostgresBroker, stranger, delay: float | None) -> None:
    sent = messages(2, delay=delay)
    async with broker.subscribe(["default"]) as subscription:
        await broker.kick_many(sent)
        await stranger.fetch(f"SELECT FROM {broker.location.schema}.messages FOR UPDATE")
        assert await statements_of(broker, subscription) < _MOST
        await stranger.execute("COMMIT")
        taken = await collect(subscription, 2)
        assert bodies(taken) == bodies(sent)
        await settle(subscription, taken)


async def test_a_lease_that_ended_before_the_server_started(postgres_schema: str) -> None:
    """Leases count from that: until one lease after it there is nothing to do."""
    server = shared_postgres()
    ((age,),) = server.ask("SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8")
    async with PostgresBroker(server.url, schema=postgres_schema, lease=age + 60) as broker:
        server.ask(f"INSERT INTO {postgres_schema}.workers VALUES (77, now() - interval '1 second', 0, 'dead')")
        async with broker.subscribe(["default"]) as subscription:
            assert await statements_of(broker, subscription) < _MOST / 10
