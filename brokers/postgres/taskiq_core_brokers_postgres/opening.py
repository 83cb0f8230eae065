"""What every plugin does at its start."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from taskiq_core.exceptions import ConfigurationError
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError, explain, lost
from taskiq_core_brokers_postgres.migrations import require_version, upgrade

_PAUSE = 0.25
"""Seconds between two tries to reach PostgreSQL."""


async def open_tables(database: Database, seconds: float, *, migrate: bool) -> None:
    """Connect, for so long: a program may start a moment before its database. Then make the tables, or look at their version.

    :raises PostgresError: if the server cannot be reached or refuses, or the tables are not of this version.
    :raises ConfigurationError: in an event loop that is not of asyncio.
    """
    _refuse_other_loops()
    await database.open()
    async with connected(database, seconds) as connection:
        await (upgrade if migrate else require_version)(connection, database.location)


@asynccontextmanager
async def connected(database: Database, seconds: float) -> AsyncGenerator[Any]:
    """A connection of its own for the block, which is tried for so long.

    :raises PostgresError: if the server cannot be reached or refuses, and for the driver's errors in the block.
    """
    _refuse_other_loops()
    connection = await _connect(database, seconds)
    try:
        yield connection
    except DRIVER_ERRORS as error:
        raise explain(error, database.location.server) from error
    finally:
        connection.terminate()


async def _connect(database: Database, seconds: float) -> Any:
    failure: PostgresError | None = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await database.connect()
                except PostgresError as error:
                    if not error.passing:
                        raise
                    failure = error
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise failure or lost(database.location.server, f"no answer for {seconds:g} s", certain=True) from None


def _refuse_other_loops() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        reason = "The PostgreSQL plugins run on asyncio or uvloop only: choose that event loop."
        raise ConfigurationError(reason=reason) from None
