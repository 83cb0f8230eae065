"""The NATS broker keeps the laws of brokers."""

from contextlib import asynccontextmanager
from functools import partial

from support.nats_servers import nats_prefix, shared_nats

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_nats import NatsBroker


class TestNatsBroker(BrokerContract):
    backends = ("asyncio",)
    pause_delay = 0.6
    big_body = 900_000  # a server takes a megabyte unless told otherwise

    @asynccontextmanager
    async def fresh_store(self):
        with nats_prefix() as prefix:
            yield partial(NatsBroker, shared_nats().url, prefix=prefix, lease=self.lease)
