"""What is wrong with the server is not told as a fault of the message, which a relay would take as final."""

import asyncpg
import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.exceptions import MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import messages
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio

FULL = """
CREATE FUNCTION {0}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE 'too many notifications in the NOTIFY queue' USING ERRCODE = '54000';
END $$;
CREATE TRIGGER refuse AFTER INSERT ON {0}.messages EXECUTE FUNCTION {0}.refuse();
"""


async def test_a_full_queue_of_notifications_is_no_fault_of_the_message(postgres_schema: str) -> None:
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        connection = await asyncpg.connect(shared_postgres().url)
        await connection.execute(FULL.format(postgres_schema))
        await connection.close()
        with pytest.raises(SendTaskError, match=r"a limit of its own.*NOTIFY queue") as raised:
            await broker.kick_many(messages(1))
        assert not isinstance(raised.value, MessageRefusedError)
        assert raised.value.outcome == "refused"


async def test_an_id_that_no_index_holds_is_a_fault_of_the_message(postgres_schema: str) -> None:
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        varied = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(5000))
        with pytest.raises(MessageRefusedError):
            await broker.kick_many([BrokerMessage(varied, "t", b"x")])


NOTED = """
CREATE TABLE {0}.noted (transaction bigint, bytes bigint);
CREATE SEQUENCE {0}.tries;
CREATE FUNCTION {0}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('{0}.tries') = 2 THEN
        RAISE 'as two writers that wait for each other' USING ERRCODE = '40P01';
    END IF;
    INSERT INTO {0}.noted SELECT txid_current(), sum(octet_length(body)) FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON {0}.messages REFERENCING NEW TABLE AS added EXECUTE FUNCTION {0}.note();
"""


async def test_a_batch_of_large_messages_is_one_transaction_of_bounded_statements(postgres_schema: str) -> None:
    sizes = [3 << 20, 3 << 20, 3 << 20, 1, 9 << 20, 2]
    batch = [
        BrokerMessage(f"large-{number}", "t", bytes(size), queue=f"queue {number % 2}", priority=7)
        for number, size in enumerate(sizes)
    ]
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema) as broker:
        connection = await asyncpg.connect(shared_postgres().url)
        try:
            await connection.execute(NOTED.format(postgres_schema))
            await broker.kick_many(batch)  # its second statement fails once, and all of it is done again
            noted = await connection.fetch(f'SELECT * FROM "{postgres_schema}".noted')
            rows = await connection.fetch(f'SELECT task_id, queue, priority FROM "{postgres_schema}".messages ORDER BY place')
        finally:
            await connection.close()
    assert [row[1] for row in noted] == [6 << 20, (3 << 20) + 1, 9 << 20, 2]
    assert len({row[0] for row in noted}) == 1
    assert [tuple(row) for row in rows] == [(message.task_id, message.queue, message.priority) for message in batch]
