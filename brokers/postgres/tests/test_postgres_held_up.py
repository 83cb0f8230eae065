"""An id in somebody's open transaction: who sends it too waits for that; nobody else does."""

import anyio
import asyncpg
import pytest
from support.postgres_servers import shared_postgres
from support.processes import DEADLINE

from taskiq_core.exceptions import MessageHeldUpError
from taskiq_core.message import BrokerMessage
from taskiq_core.passing_on import PassedOn
from taskiq_core.testing.broker_tools import bodies, messages, whats_there
from taskiq_core_brokers_postgres import PostgresBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(postgres_schema: str):
    async with PostgresBroker(shared_postgres().url, schema=postgres_schema, send_timeout=3.0) as broker:
        yield broker


@pytest.fixture
async def held(broker: PostgresBroker):
    """A message, sent in a transaction that does not end, and that transaction."""
    connection = await asyncpg.connect(shared_postgres().url)
    transaction, (message,) = connection.transaction(), messages(1)
    await transaction.start()
    enlisted = broker.enlist(connection, [message])
    assert enlisted is not None
    await enlisted
    yield message, transaction
    await connection.close()


async def test_nobody_elses_send_waits(broker: PostgresBroker, held) -> None:
    (message, transaction), others = held, messages(20)
    sent = anyio.Event()
    refused: list[MessageHeldUpError] = []

    async def send_held() -> None:
        try:
            await broker.kick(message)
        except MessageHeldUpError as error:
            refused.append(error)
        assert sent.is_set()

    async with anyio.create_task_group() as group:
        group.start_soon(send_held)
        async with anyio.create_task_group() as innocent:
            for other in others:
                innocent.start_soon(broker.kick, other)
        sent.set()
    assert refused[0].outcome == "refused"
    assert "has not ended" in refused[0].reason
    await transaction.rollback()
    assert sorted(bodies(await whats_there(broker))) == sorted(item.message for item in others)


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_who_waits_goes_on_when_it_ends(broker: PostgresBroker, held, end: str) -> None:
    message, transaction = held
    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            group.start_soon(broker.kick, message)
            await broker.kick_many(messages(1))
            await getattr(transaction, end)()
    assert bodies(await whats_there(broker)).count(message.message) == 1


async def test_of_a_batch_the_others_are_passed_on(broker: PostgresBroker, held) -> None:
    """As the relay and a migration send them: it is not refused for good."""
    (message, transaction), others = held, messages(7)
    batch: list[tuple[str, BrokerMessage]] = [(item.task_id, item) for item in [*others[:3], message, *others[3:]]]
    passed = PassedOn[str]()
    with pytest.raises(MessageHeldUpError):
        await passed.send(broker.kick_many, batch, broker.max_message_size)
    assert passed.accepted == [item.task_id for item in others]
    assert not passed.refused
    await transaction.rollback()
    assert len(await whats_there(broker)) == 7
