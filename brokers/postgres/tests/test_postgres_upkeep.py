"""What keeps the tables small, and claims on their index."""

import anyio
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.delivery import Verdict
from taskiq_core.testing.broker_tools import admin_of, collect, messages, settle
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


async def test_old_dead_letters_are_deleted(postgres_schema: str) -> None:
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema, dead_ttl=0.3) as broker:
        async with broker.subscribe(["default"]) as subscription:
            for _ in range(2):
                await broker.kick_many(messages(2))
                await settle(subscription, await collect(subscription, 2), Verdict.REJECT, reason="bad")
                await subscription.extend([])
                assert len(await admin_of(broker).dead_letters()) == 2
                await anyio.sleep(0.4)


async def test_nothing_is_left_of_those_who_have_left(postgres_schema: str) -> None:
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        async with broker.subscribe(["default"]) as subscription:
            await broker.kick_many(messages(3))
            one, two, three = await collect(subscription, 3)
            subscription.forget([one])
            await subscription.extend([two])
            await settle(subscription, [two, three])
    tables = [row[0] for row in shared_postgres().ask("SELECT tablename FROM pg_tables WHERE schemaname = $1", postgres_schema)]
    counts = {name: shared_postgres().ask(f'SELECT count(*) FROM "{postgres_schema}".{name}')[0][0] for name in tables}
    assert {name: count for name, count in counts.items() if count} == {"messages": 1, "schema_versions": 1}


async def test_many_messages_of_two_priorities_are_claimed_in_order(postgres_schema: str) -> None:
    """The statistics of the tables are those of empty ones."""
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        low, high = messages(500, priority=2), messages(500, priority=7)
        await broker.kick_many([*low, *high])
        async with broker.subscribe(["default"]) as subscription:
            taken = await collect(subscription, 1000)
            await settle(subscription, taken)
    places = {message.message: place for place, message in enumerate([*high, *low])}
    by_priority = [[places[item.body] for item in taken if (places[item.body] < 500) is first] for first in (True, False)]
    assert all(part == sorted(part) for part in by_priority)
