"""Paused queues on NATS."""

import pytest

from taskiq_core.testing.broker_tools import DEFAULT, admin_of, bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio


async def test_what_is_due_in_a_paused_queue_is_left_alone(nats_url: str, nats_prefix: str) -> None:
    """However many they are, and however long the pause."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(DEFAULT) as subscription:
        await broker.kick_many(messages(1, delay=0.05))
        await settle(subscription, await collect(subscription, 1))
        consumer = f"CONSUMER.INFO.{nats_prefix}-queues.default-delayed"
        await admin_of(broker).pause("default")
        await nothing_comes(subscription, 1.0)  # what was asked for before has ended
        before = (await broker._connection.api(consumer))["delivered"]["consumer_seq"]
        sent = messages(3, delay=0.05)
        await broker.kick_many(sent)
        await nothing_comes(subscription, 1.0)
        assert (await broker._connection.api(consumer))["delivered"]["consumer_seq"] == before
        await admin_of(broker).resume("default")
        assert bodies(await collect(subscription, 3)) == bodies(sent)
