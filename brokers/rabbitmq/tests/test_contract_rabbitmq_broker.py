"""The RabbitMQ broker keeps the laws of brokers, on quorum queues and on classic ones."""

from contextlib import asynccontextmanager
from functools import partial

from support.rabbitmq_server import RabbitServer
from support.shared_server import fresh_prefix, shared_url

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_rabbitmq import RabbitBroker


class TestRabbitBroker(BrokerContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        yield partial(RabbitBroker, shared_url(RabbitServer), prefix=fresh_prefix())
