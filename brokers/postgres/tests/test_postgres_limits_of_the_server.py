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
