"""The database behind the parts of the backend."""

from collections.abc import Sequence
from typing import Any

from taskiq_core.exceptions import ResultBackendError
from taskiq_core.server_results import as_result_error
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.location import Location


class OnTables:
    """Something that keeps its state in tables and uses a database while it is started."""

    location: Location
    """Where the tables are. A subscription at the same place stores results by itself."""
    database: Database | None = None
    """Open between `startup` and `shutdown`."""

    def require_database(self) -> Database:
        """The open database.

        :raises ResultBackendError: if there is none in this process.
        """
        if self.database is None or not self.database.usable:
            msg = (
                f"the PostgreSQL result backend at {self.location.place} is not started in this process: "
                "call `await broker.startup()` first, also after a fork."
            )
            raise ResultBackendError(msg)
        return self.database

    async def ask(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """Run one statement, which is a transaction of its own, and return its rows.

        :raises ResultBackendError: if PostgreSQL cannot be reached or refuses; after a lost answer it may have taken place.
        """
        with as_result_error(ResultBackendError):
            return await self.require_database().fetch(statement, *arguments)
