"""Waiting until schedules have changed."""

from typing import Final

from taskiq_core.change_bell import ChangeBell
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.listening import Listener

_COUNT: Final = "SELECT count FROM taskiq.schedule_changes"


class ChangeWatch:
    """PostgreSQL tells, on a connection of its own, when schedules have changed; it listens from the first wait on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bell = ChangeBell()
        self._listener = Listener(database, database.location.schedules_channel, self._bell.ring, self._bell.ring)

    async def wait(self, seen: int) -> None:
        """Return once the number of changes is another one than `seen`. Cancelling is safe; broken connections are waited out.

        :raises PostgresError: if the server refuses us for good.
        """

        async def changed() -> bool:
            rows = await self._database.fetch(_COUNT)
            return (rows[0][0] if rows else 0) != seen

        self._listener.start()
        await self._bell.wait_until(changed)

    async def close(self) -> None:
        """Listen no more."""
        await self._listener.close()
