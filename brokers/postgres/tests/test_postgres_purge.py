"""What an operator does to many messages at once."""

import asyncpg
import pytest
from support.postgres_servers import shared_postgres
from support.twin_letters import assert_twin_letters_stay

from taskiq_core.testing.broker_tools import bodies, messages, whats_there
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
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        await assert_twin_letters_stay(broker)
