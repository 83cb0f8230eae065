"""Tables that are made by hand. SQLite's have no older versions: a file of another release is refused."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread

from taskiq_core.abc.schema_owner import SchemaOwner, SchemaVersion
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core_brokers_sqlite.connection import Connection, connect, retry_while_busy, transact
from taskiq_core_brokers_sqlite.errors import DatabaseError, UnusableDatabaseError
from taskiq_core_brokers_sqlite.schema import SCHEMA_VERSION, migrate, stored_version, use_wal

T = TypeVar("T")


class OwnsFile(SchemaOwner):
    """Has its tables in a file, as all plugins with the same file have."""

    path: str

    async def schema_version(self) -> SchemaVersion:
        return self._found(await anyio.to_thread.run_sync(_look, self.path))

    async def upgrade_schema(self) -> SchemaVersion:
        return self._found(await anyio.to_thread.run_sync(_upgrade, self.path))

    def _found(self, version: int) -> SchemaVersion:
        return SchemaVersion(f"SQLite {Path(self.path).resolve()}", version, SCHEMA_VERSION)


def _look(path: str) -> int:
    return _visit(path, stored_version) or 0 if Path(path).exists() else 0


def _upgrade(path: str) -> int:
    def upgrade(conn: Connection) -> int:
        found = stored_version(conn)
        migrate(conn)
        return found or 0

    def work(conn: Connection) -> int:
        use_wal(conn)
        return transact(conn, upgrade, path, lambda: False)

    return _visit(path, work)


def _visit(path: str, work: Callable[[Connection], T]) -> T:
    def step() -> T:
        conn = connect(path)
        try:
            return work(conn)
        finally:
            conn.close()

    try:
        return retry_while_busy(step, path, time.monotonic() + SEND_TIMEOUT, lambda: False)
    except DatabaseError as error:
        if error.permanent:
            raise UnusableDatabaseError(reason=error.reason, permanent=True) from error
        raise
