"""The PostgreSQL broker keeps the laws of brokers."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_postgres import PostgresBroker


class TestPostgresBroker(BrokerContract):
    backends = ("asyncio",)
    pause_delay = 0.0

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            yield partial(PostgresBroker, shared_postgres().url, schema=schema, lease=self.lease)
