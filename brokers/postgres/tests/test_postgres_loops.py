"""Scripts and notebooks: each `asyncio.run` has an event loop of its own, and nobody shuts the broker down in between."""

import asyncio

import pytest
from support.postgres_servers import shared_postgres

from taskiq_core.testing.broker_tools import messages
from taskiq_core_brokers_postgres import PostgresBroker


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_broker_goes_from_one_event_loop_to_the_next(postgres_schema: str) -> None:
    broker = PostgresBroker(shared_postgres().url, schema=postgres_schema)

    async def send() -> int:
        await broker.startup()
        await asyncio.gather(broker.kick_many(messages(1)), broker.kick_many(messages(1)))
        return (await broker.admin.depth("default")).ready

    assert [asyncio.run(send()) for _ in range(3)] == [2, 4, 6]
    asyncio.run(broker.shutdown())
