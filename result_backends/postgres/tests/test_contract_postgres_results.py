"""The PostgreSQL backend keeps the laws of result backends."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres

from taskiq_core.testing.result_backend_suite import ResultBackendContract
from taskiq_core_result_backends_postgres import PostgresResultBackend


class TestPostgresResultBackend(ResultBackendContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            yield partial(PostgresResultBackend, shared_postgres().url, schema=schema)
