"""The PostgreSQL backend keeps the laws of coordinators."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres

from taskiq_core.testing.coordinator_suite import CoordinatorContract
from taskiq_core_result_backends_postgres import PostgresResultBackend


class TestPostgresCoordinator(CoordinatorContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            yield partial(PostgresResultBackend, shared_postgres().url, schema=schema)
