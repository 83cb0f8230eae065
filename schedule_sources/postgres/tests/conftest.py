"""What the tests of the PostgreSQL schedule source share."""

import pytest
from support.postgres_fixtures import postgres_schema, start_postgres

__all__ = ["postgres_schema", "start_postgres"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """asyncpg needs asyncio."""
    return "asyncio"
