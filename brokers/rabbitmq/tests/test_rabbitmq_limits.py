"""Limits that operators set: of channels, and of messages."""

import asyncio
from collections.abc import Generator

import pytest
from support.rabbitmq_server import RabbitServer

from taskiq_core.exceptions import MessageRefusedError, MessageTooLargeError
from taskiq_core.testing.broker_tools import admin_of, bodies, messages, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.errors import RabbitError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Generator[RabbitServer]:
    with RabbitServer("channel_max = 20", "max_message_size = 1000000") as server:
        yield server


async def test_channels_of_a_connection(server: RabbitServer, rabbitmq_prefix: str) -> None:
    """Their numbers are used again; there are as many as the server allows, and who wants another is told so."""
    async with RabbitBroker(server.url, prefix=rabbitmq_prefix) as broker:
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


async def test_a_message_that_is_too_large_is_refused_and_harms_nobody(server: RabbitServer, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(server.url, prefix=rabbitmq_prefix) as broker:
        small, large = messages(2)
        large.message = b"x" * 1_000_001
        refused, _ = await asyncio.gather(broker.kick_many([large]), broker.kick_many([small]), return_exceptions=True)
        assert isinstance(refused, MessageRefusedError)
        assert "1000001 bytes" in str(refused)
        assert "1000000 at most" in str(refused)
        large.message = b"x" * 1_000_000
        await broker.kick_many([large])
        assert bodies(await whats_there(broker)) == bodies([small, large])

        @broker.task
        async def read(text: str) -> None: ...

        with pytest.raises(MessageTooLargeError, match="the limit is 1000000"):
            await read.kiq("x" * 1_000_001)
