"""The PostgreSQL backend keeps the laws of record stores."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres

from taskiq_core.testing.record_suite import RecordStoreContract
from taskiq_core_result_backends_postgres import PostgresResultBackend


class TestPostgresRecords(RecordStoreContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            yield partial(PostgresResultBackend, shared_postgres().url, schema=schema)
