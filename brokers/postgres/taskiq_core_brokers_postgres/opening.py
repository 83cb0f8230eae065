"""What every plugin does at its start."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from taskiq_core.asyncio_only import require_asyncio
from taskiq_core.server_retries import reach
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError, explain, lost
from taskiq_core_brokers_postgres.migrations import require_version, upgrade

logger = logging.getLogger("taskiq.postgres")

_PAUSE = 0.25
"""Seconds between two tries to reach PostgreSQL."""
_MOMENT = 2.0
"""Seconds that a start waits for a server."""
_MOST = 60.0
"""Seconds that a start waits for the tables to be made, where the server is there."""


async def open_tables(database: Database, seconds: float, *, migrate: bool) -> None:
    """Connect, for so long: a program may start a moment before its database. Then make the tables, or look at their version.

    :raises PostgresError: if the server cannot be reached or refuses, or the tables are not of this version.
    :raises ConfigurationError: in an event loop that is not of asyncio.
    """
    require_asyncio("PostgreSQL")
    await database.open()
    async with connected(database, seconds) as connection:
        await _see_to_tables(connection, database, migrate=migrate)


async def _see_to_tables(connection: Any, database: Database, *, migrate: bool) -> None:
    await (upgrade if migrate else require_version)(connection, database.location)


class Opening:
    """`open_tables` for those who can start without a server: tasks can be sent while there is none for their results."""

    def __init__(self, database: Database, *, migrate: bool) -> None:
        self._database = database
        self._migrate = migrate
        self._task: asyncio.Task[None] | None = None
        self._reached = False

    async def begin(self) -> None:
        """Return when the tables are there; if the server is not, after a moment, and then go on trying.

        :raises PostgresError: if the server refuses, or the tables are not of this version; only if that is known in time.
        :raises ConfigurationError: in an event loop that is not of asyncio.
        """
        require_asyncio("PostgreSQL")
        await self._database.open()
        self._task = asyncio.get_running_loop().create_task(self._open(), name="taskiq-postgres-opening")
        await asyncio.wait([self._task], timeout=_MOMENT)
        if self._reached:
            await asyncio.wait([self._task], timeout=_MOST)
        if self._task.done():
            self._task.result()
        else:
            server = self._database.location.server
            logger.warning("PostgreSQL at %s cannot be reached yet; the tables of results are looked after when it can", server)
            self._task.add_done_callback(_note)

    async def close(self) -> None:
        """Try no more."""
        task, self._task = self._task, None
        while task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            task.cancel()  # more than once, as the driver may lose one
            await asyncio.wait([task], timeout=_MOMENT)

    async def _open(self) -> None:
        while True:
            try:
                async with connected(self._database, self._database.patience) as connection:
                    self._reached = True
                    await _see_to_tables(connection, self._database, migrate=self._migrate)
                    return
            except PostgresError as error:
                if not error.passing:
                    raise
                logger.debug("The tables of results cannot be looked after yet, trying again: %s", error)
                await asyncio.sleep(_PAUSE)


def _note(opening: asyncio.Task[None]) -> None:
    if not opening.cancelled() and (error := opening.exception()) is not None:
        logger.error("The tables of results in PostgreSQL cannot be used: %s", error)


@asynccontextmanager
async def connected(database: Database, seconds: float) -> AsyncGenerator[Any]:
    """A connection of its own for the block, which is tried for so long.

    :raises PostgresError: if the server cannot be reached or refuses, and for the driver's errors in the block.
    """
    require_asyncio("PostgreSQL")
    silence = lost(database.location.server, f"no answer for {seconds:g} s", certain=True)
    connection = await reach(database.connect, seconds, silence)
    try:
        yield connection
    except DRIVER_ERRORS as error:
        raise explain(error, database.location.server) from error
    finally:
        connection.terminate()
