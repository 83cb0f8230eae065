"""What a server does not take: it would end the connection, with all that is in flight."""

import pytest

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.exceptions import BrokerError, MessageRefusedError
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import admin_of, bodies, collect, messages, settle, whats_there
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(nats_url: str, nats_prefix: str):
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker:
        yield broker
        assert broker._connection.made == 1


async def test_the_longest_task_id(broker: NatsBroker) -> None:
    sent = BrokerMessage("\N{SNOWMAN}" * 255, "a.task", b"a body", delay=0.05)
    await broker.kick(sent)
    async with broker.subscribe(["default"]) as subscription:
        await settle(subscription, await collect(subscription, 1), Verdict.REJECT)
    letters = await admin_of(broker).dead_letters()
    assert [letter.task_id for letter in letters] == [sent.task_id]
    assert await admin_of(broker).requeue_dead([letters[0].id]) == 1
    assert bodies(await whats_there(broker)) == [sent.message]


async def test_a_task_id_that_is_too_long(broker: NatsBroker) -> None:
    with pytest.raises(MessageRefusedError, match="longer than 255"):
        await broker.kick(BrokerMessage("é" * 3000, "a.task", b"a body"))


async def test_a_rejection_beside_the_largest_body(broker: NatsBroker) -> None:
    (sent,) = messages(1)
    sent.message = bytes(broker.max_message_size)
    await broker.kick(sent)
    async with broker.subscribe(["default"]) as subscription:
        (taken,) = await collect(subscription, 1)
        await subscription.settle([Settlement(taken, Verdict.REJECT, reason="☃" * 2000, detail=bytes(100_000))])
    (letter,) = await admin_of(broker).dead_letters()
    assert letter.body == sent.message
    assert letter.reason.startswith("☃☃☃")


async def test_a_retry_that_is_too_big_is_refused_alone(broker: NatsBroker) -> None:
    await broker.kick_many(messages(1))
    async with broker.subscribe(["default"]) as subscription:
        (taken,) = await collect(subscription, 1)
        with pytest.raises(BrokerError, match="raise max_payload"):
            await subscription.settle([Settlement(taken, Verdict.RETRY, body=bytes(2_000_000))])
        await settle(subscription, [taken])
