"""What an operator does to many messages at once."""

import asyncpg
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.testing.broker_tools import bodies, collect, messages, settle, whats_there
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio

MOST = 10_000
REFUSE = f"""
CREATE FUNCTION {{0}}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM gone) > {MOST} THEN RAISE 'too many in one transaction'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER refuse AFTER DELETE ON {{0}}.messages REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION {{0}}.refuse();
"""


async def test_a_large_queue_is_purged_in_many_transactions(postgres_schema: str) -> None:
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        connection = await asyncpg.connect(shared_postgres().url)
        await connection.execute(REFUSE.format(postgres_schema))
        await connection.close()
        (kept,) = messages(1, queue="other")
        await broker.kick_many([*messages(2 * MOST + 1), kept])
        assert await broker.admin.purge("default") == 2 * MOST + 1
        assert bodies(await whats_there(broker, ["default", "other"])) == [kept.message]


async def test_letters_that_become_no_message_stay(postgres_schema: str) -> None:
    """One died twice, another is queued again."""
    async with (
        PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker,
        broker.subscribe(["default"]) as subscription,
    ):
        twice, again = messages(2)
        for sent in ([twice, again], [twice]):
            await broker.kick_many(sent)
            taken = await collect(subscription, len(sent))
            await subscription.settle([Settlement(item, Verdict.REJECT, reason="no") for item in taken])
        await broker.kick_many([again])
        letters = await broker.admin.dead_letters()
        assert len(letters) == 3
        assert await broker.admin.requeue_dead([letter.id for letter in letters]) == 1
        left = await broker.admin.dead_letters()
        assert [letter.id for letter in left] == [letter.id for letter in letters[1:]]
        taken = await collect(subscription, 2)
        assert sorted(bodies(taken)) == sorted([twice.message, again.message])
        await settle(subscription, taken)
