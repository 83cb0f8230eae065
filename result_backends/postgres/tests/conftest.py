"""What the tests of the PostgreSQL result backend share."""

from collections.abc import AsyncGenerator

import pytest
from support.postgres_fixtures import postgres_schema, start_postgres
from support.postgres_servers import shared_postgres

from taskiq_core_result_backends_postgres import PostgresResultBackend

__all__ = ["postgres_schema", "start_postgres"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """asyncpg needs asyncio."""
    return "asyncio"


@pytest.fixture
async def backend(postgres_schema: str) -> AsyncGenerator[PostgresResultBackend]:
    """A started backend with tables of its own on the shared server."""
    made: PostgresResultBackend = PostgresResultBackend(shared_postgres().url, schema=postgres_schema)
    await made.startup()
    yield made
    await made.shutdown()
