"""The one PostgreSQL server that all tests of a process share, each with a schema of its own."""

import asyncio
import atexit
import os
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import asyncpg
from support.postgres_server import PostgresServer

URL_VARIABLE = "TASKIQ_TEST_POSTGRES_URL"
"""Environment variable with the URL of a database to use instead of a server that is started here."""


@dataclass(frozen=True)
class SharedPostgres:
    """A server that others use too: never end it or change its settings."""

    url: str

    def ask(self, statement: str, *arguments: Any) -> list[Any]:
        """Run one statement on a connection of its own, whatever event loop runs here, and return its rows."""
        return ask(self.url, statement, *arguments)


@cache
def shared_postgres() -> SharedPostgres:
    """The server named by the environment, or else one of this process's own, which the first call starts.

    A plain function, for tests that have no fixtures too. Skips the test that asks, if no server can be had.
    """
    return SharedPostgres(os.environ.get(URL_VARIABLE) or _start_shared().url)


@contextmanager
def fresh_schema() -> Generator[str]:
    """A name of a schema that no other test uses; it is dropped from the shared server afterwards."""
    schema = f"test_{secrets.token_hex(8)}"
    try:
        yield schema
    finally:
        shared_postgres().ask(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def ask(url: str, statement: str, *arguments: Any) -> list[Any]:
    """Run one statement on a connection of its own, in a thread of its own, and return its rows."""
    answer: list[Any] = []

    async def fetch() -> None:
        connection = await asyncpg.connect(url)
        try:
            answer.extend(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    thread = threading.Thread(target=asyncio.run, args=(fetch(),))
    thread.start()
    thread.join()
    return answer


def _start_shared() -> PostgresServer:
    server = PostgresServer().start()
    owner = os.getpid()

    def close() -> None:
        if os.getpid() == owner:  # and not a fork of it
            server.close()

    atexit.register(close)
    return server
