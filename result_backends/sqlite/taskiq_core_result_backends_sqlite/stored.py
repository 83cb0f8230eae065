"""The database behind the parts of the backend."""

from taskiq_core.exceptions import ResultBackendError
from taskiq_core_brokers_sqlite import Database


class OnDatabase:
    """Something that uses a database while it is started."""

    path: str = ""
    database: Database | None = None
    """Open between `startup` and `shutdown`. A subscription on the same one stores results by itself."""

    def require_database(self) -> Database:
        """The open database.

        :raises ResultBackendError: if there is none.
        """
        if self.database is None:
            msg = f"the SQLite result backend of {self.path} is not started: call `await broker.startup()` first."
            raise ResultBackendError(msg)
        return self.database
