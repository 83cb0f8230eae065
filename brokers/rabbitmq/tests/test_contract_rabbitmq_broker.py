"""The RabbitMQ broker keeps the laws of brokers, on quorum queues and on classic ones."""

from contextlib import asynccontextmanager
from functools import partial

from support.rabbitmq_servers import fresh_prefix, shared_rabbitmq

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_rabbitmq import RabbitBroker


class TestRabbitBroker(BrokerContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        yield partial(RabbitBroker, shared_rabbitmq(), prefix=fresh_prefix())
