"""Limits that operators set: channels of a connection."""

import pytest
from support.rabbitmq_fixtures import StartRabbit

from taskiq_core.testing.broker_tools import admin_of, messages, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.errors import RabbitError

pytestmark = pytest.mark.anyio


async def test_channels_of_a_connection(start_rabbitmq: StartRabbit) -> None:
    """Their numbers are used again; there are as many as the server allows, and who wants another is told so."""
    async with RabbitBroker(start_rabbitmq("channel_max = 20").url) as broker:
        assert broker.connector is not None
        link = await broker.connector.link()
        for _ in range(20):
            await broker.kick_many(messages(1))
            await admin_of(broker).depth("default")
        assert await broker.connector.link() is link
        opened = [await link.channel(1.0)]
        with pytest.raises(RabbitError, match="allows 20 channels") as refused:
            while len(opened) < 100:
                opened.append(await link.channel(1.0))
        assert refused.value.certain
        for channel in opened:
            channel.close()
        assert len(await whats_there(broker)) == 20
