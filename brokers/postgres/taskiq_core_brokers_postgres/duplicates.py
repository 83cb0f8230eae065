"""Inserting rows that are hardly ever there already: without looking first, which costs the server a third less."""

import time
from collections.abc import Sequence
from typing import Any

from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError

_CAREFUL = 60.0
"""Seconds for which we look first after a row was there: each time that we do not, the server logs an error."""


class HopefulInsert:
    """A statement in two forms, one that fails where a row is there already, and one that does not.

    :param hopeful: fails as a whole; takes effect as `careful` does where it does not fail.
    """

    def __init__(self, hopeful: str, careful: str) -> None:
        self._hopeful = hopeful
        self._careful = careful
        self._careful_until = 0.0

    async def run(self, database: Database, *arguments: Any) -> Sequence[Any]:
        """Raises as `Database.fetch`."""
        if time.monotonic() >= self._careful_until:
            try:
                return await database.fetch(self._hopeful, *arguments)
            except PostgresError as error:
                if not error.exists:
                    raise
            self._careful_until = time.monotonic() + _CAREFUL
        return await database.fetch(self._careful, *arguments)
