"""Waiting until schedules have changed."""

import asyncio
from contextlib import suppress
from typing import Final

from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.listening import Listener

_LOOK_AGAIN: Final = 1.0
"""Seconds after which we look ourselves: for a change while the connection was broken."""
_COUNT = "SELECT count FROM taskiq.schedule_changes"


class ChangeWatch:
    """PostgreSQL tells, on a connection of its own, when schedules have changed; it listens from the first wait on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listener = Listener(database, database.location.schedules_channel, self._heard, self._ring)
        self._bell = asyncio.Event()

    async def wait(self, seen: int) -> None:
        """Return once the number of changes is another one than `seen`. Cancelling is safe; broken connections are waited out.

        :raises PostgresError: if the server refuses us for good.
        """
        self._listener.start()
        while True:
            bell = self._bell
            try:
                rows = await self._database.fetch(_COUNT)
                if (rows[0][0] if rows else 0) != seen:
                    return
            except PostgresError as error:
                if not error.passing:
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await bell.wait()

    async def close(self) -> None:
        """Listen no more."""
        await self._listener.close()

    def _heard(self, _: str) -> None:
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()
