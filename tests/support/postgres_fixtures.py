"""Fixtures of the PostgreSQL tests; a conftest.py imports them by name."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from support import postgres_servers
from support.postgres_server import PostgresServer

StartPostgres = Callable[..., PostgresServer]


@pytest.fixture
def postgres_schema() -> Generator[str]:
    """A schema of the shared server for this test; it is dropped afterwards."""
    with postgres_servers.fresh_schema() as schema:
        yield schema


@pytest.fixture
def start_postgres() -> Generator[StartPostgres]:
    """Starts private servers, with the arguments of `PostgresServer`, that are gone after the test."""
    with ExitStack() as stack:
        yield lambda *config, **options: stack.enter_context(PostgresServer(*config, **options))
