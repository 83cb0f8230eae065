"""The PostgreSQL schedule source keeps the laws of schedule sources."""

from contextlib import asynccontextmanager
from functools import partial

from support.postgres_servers import fresh_schema, shared_postgres

from taskiq_core.testing.schedule_suite import ScheduleSourceContract
from taskiq_core_schedule_sources_postgres import PostgresScheduleSource


class TestPostgresScheduleSource(ScheduleSourceContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with fresh_schema() as schema:
            yield partial(PostgresScheduleSource, shared_postgres().url, schema=schema)
