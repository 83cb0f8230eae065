"""The one PostgreSQL server that all tests of a process share, each with a schema of its own."""

import secrets
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from support.postgres_server import PostgresServer
from support.shared_server import run_apart, shared_url


@dataclass(frozen=True)
class SharedPostgres:
    """A server that others use too: never end it or change its settings."""

    url: str

    def ask(self, statement: str, *arguments: Any) -> list[Any]:
        """Run one statement on a connection of its own, whatever event loop runs here, and return its rows."""
        return ask(self.url, statement, *arguments)


def shared_postgres() -> SharedPostgres:
    """See `shared_url`."""
    return SharedPostgres(shared_url(PostgresServer))


@contextmanager
def fresh_schema() -> Generator[str]:
    """A name of a schema that no other test uses; it is dropped from the shared server afterwards."""
    schema = f"test_{secrets.token_hex(8)}"
    try:
        yield schema
    finally:
        shared_postgres().ask(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


@asynccontextmanager
async def transaction() -> AsyncGenerator[Any]:
    """A connection of an application's to the shared server; it commits at its end, and rolls back after an error."""
    connection = await asyncpg.connect(shared_postgres().url)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


def ask(url: str, statement: str, *arguments: Any) -> list[Any]:
    """Run one statement on a connection of its own, whatever event loop runs here, and return its rows."""

    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    return run_apart(fetch())
