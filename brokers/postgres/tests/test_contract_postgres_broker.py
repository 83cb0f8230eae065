"""The PostgreSQL broker keeps the laws of brokers."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres, transaction

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_postgres import PostgresBroker
from taskiq_core_result_backends_postgres import PostgresResultBackend


class TestPostgresBroker(BrokerContract):
    backends = ("asyncio",)
    pause_delay = 0.0

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            self._schema = schema
            yield partial(PostgresBroker, shared_postgres().url, schema=schema, lease=self.lease)

    def result_backend_beside(self, broker):
        return PostgresResultBackend(shared_postgres().url, schema=self._schema)

    def transaction(self, broker):
        return transaction()
