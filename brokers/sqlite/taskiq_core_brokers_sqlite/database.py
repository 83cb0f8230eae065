"""One database file, shared by everything in this process that uses it."""

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import ClassVar, TypeVar

import anyio

from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core_brokers_sqlite.connection import Connection, connect, retry_while_busy, transact
from taskiq_core_brokers_sqlite.doorbell import Doorbell
from taskiq_core_brokers_sqlite.errors import DatabaseError, UnusableDatabaseError
from taskiq_core_brokers_sqlite.lane import Job, Lane
from taskiq_core_brokers_sqlite.presence import FileIdentity, identity
from taskiq_core_brokers_sqlite.schema import SCHEMA_VERSION, migrate, stored_version, use_wal

T = TypeVar("T")

logger = logging.getLogger("taskiq.sqlite")

_CLOSE_TIMEOUT = 5.0
_FORK_PATIENCE = 1.0


class Database:
    """Two connections, one that writes and one that reads, each in a thread of its own.

    `open` gives the same instance to all who name the same file, so that a broker and its result backend never wait for each
    other's locks and can write in one transaction. May be used from several event loops and threads.
    """

    _shared: ClassVar[dict[tuple[int, str], "Database"]] = {}
    _guard: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: str) -> None:
        self.path = path
        self.doorbell = Doorbell(path)
        self._users = 0
        self._process = os.getpid()
        self._writer, self._reader = Lane(f"sqlite writer {path}"), Lane(f"sqlite reader {path}")
        self._write_conn: Connection | None = None
        self._read_conn: Connection | None = None
        self._tables: list[Callable[[Connection], None]] = []
        self._lost: FileIdentity | None = None
        self._paused: list[Lane] = []

    @classmethod
    async def open(cls, path: str) -> "Database":
        """The database of a file, made with its tables if it does not exist. Each call needs one `close`.

        :raises UnusableDatabaseError: if the file cannot be used until a person has changed something.
        :raises DatabaseError: if it cannot be used now.
        """
        key = _identity(path)
        with cls._guard:
            found = cls._shared.setdefault(key, cls(key[1]))
            found._users += 1
        try:
            await found._connect()
        except BaseException as error:
            await found.close()
            if isinstance(error, DatabaseError) and error.permanent:
                raise UnusableDatabaseError(reason=error.reason, permanent=True) from error
            raise
        return found

    async def add_tables(self, make: Callable[[Connection], None]) -> None:
        """Make more tables, here and in every file that takes this one's place; `make` leaves alone what exists.

        :raises DatabaseError: as `write`.
        """
        await self.write(make)
        if make not in self._tables:
            self._tables.append(make)

    async def _connect(self) -> None:
        deadline = time.monotonic() + SEND_TIMEOUT
        await self._writer.run(lambda job: self._connected_writer(deadline, lambda: job.given_up))

    @property
    def usable(self) -> bool:
        """False in a child of the process that opened it: neither connections nor threads survive a fork."""
        return os.getpid() == self._process

    async def close(self) -> None:
        """Let go; the last one out closes the connections, after what has been begun."""
        if not self.usable:
            return  # it stays in `_shared`: the connections are the parent's, and must not even be collected here
        with self._guard:
            self._users -= 1
            if self._users:
                return
            for key in [key for key, value in self._shared.items() if value is self]:
                del self._shared[key]
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            await self._reader.run(self._close_reader, detached=True)
            await self._writer.run(self._close_writer, detached=True)
        self._reader.close()
        self._writer.close()

    async def write(
        self,
        fn: Callable[[Connection], T],
        *,
        timeout: float = SEND_TIMEOUT,
        undo: Callable[[T, Connection], None] | None = None,
        detached: bool = False,
    ) -> T:
        """Run `fn(connection)` in one transaction, in the writing thread. `fn` may be called again if the file is locked.

        After `timeout` seconds, time in the thread's queue included, a file that others lock is given up. Cancelling: what is
        not committed yet is dropped; what is committed is given to `undo`, if there is one, in a transaction of its own.
        `detached` carries on instead.

        :raises DatabaseError: if it did not take place; see `DatabaseError.certain`.
        """
        self._check_usable()
        deadline = time.monotonic() + timeout

        def take_back(result: T) -> None:
            if undo is not None:
                self._in_transaction(partial(undo, result), time.monotonic() + timeout, lambda: False)

        return await self._writer.run(
            lambda job: self._in_transaction(fn, deadline, lambda: job.given_up), take_back, detached=detached
        )

    def post(self, fn: Callable[[Connection], object], *, timeout: float = SEND_TIMEOUT) -> None:
        """Run `fn(connection)` in one transaction after what has been asked for before; nobody waits for it or hears of it.

        :raises DatabaseError: if the database is closed.
        """
        self._check_usable()
        deadline = time.monotonic() + timeout
        self._writer.submit(Job(lambda _: self._in_transaction(fn, deadline, lambda: False)))

    def write_from_thread(self, fn: Callable[[Connection], T], *, timeout: float = SEND_TIMEOUT) -> T:
        """The same for a plain thread. Does not need any event loop to run.

        :raises DatabaseError: as `write`.
        :raises TimeoutError: if the writing thread was busy for so many seconds.
        """
        self._check_usable()
        deadline = time.monotonic() + timeout
        return self._writer.run_from_thread(lambda job: self._in_transaction(fn, deadline, lambda: job.given_up), timeout)

    async def read(self, fn: Callable[[Connection], T], *, timeout: float = SEND_TIMEOUT) -> T:
        """Run `fn(connection)` in the reading thread; writers do not disturb it. Cancelling is safe.

        :raises DatabaseError: if the file cannot be read.
        """
        self._check_usable()
        deadline = time.monotonic() + timeout
        return await self._reader.run(
            lambda job: retry_while_busy(
                lambda: fn(self._connected_reader(lambda: job.given_up)), self.path, deadline, lambda: job.given_up
            )
        )

    def _check_usable(self) -> None:
        if not self.usable:
            reason = (
                f"The database {self.path} was opened before this process was forked, and neither connections nor threads "
                "survive a fork: call `startup()` in the child, or start processes by spawning."
            )
            raise DatabaseError(reason=reason)
        if not self._users:
            raise DatabaseError(reason=f"The database {self.path} is closed: whatever used it has been shut down.")

    # -- around a fork --------------------------------------------------------------------------------------------------------
    #
    # SQLite in the child believes that the parent's connections, and with them their locks, are its own: what is opened there
    # would not be locked against the parent. So they are closed there before anything else, which leaves the parent's alone;
    # and nothing must be under way in them at the fork.

    @classmethod
    def before_fork(cls) -> None:
        """Wait until nothing is under way, but not for ever."""
        cls._guard.acquire()
        for database in cls._shared.values():
            lanes = database._writer, database._reader
            database._paused = [lane for lane in lanes if database.usable and lane.idle.acquire(timeout=_FORK_PATIENCE)]

    @classmethod
    def after_fork_in_parent(cls) -> None:
        """Go on."""
        for database in cls._shared.values():
            for lane in database._paused:
                lane.idle.release()
            database._paused = []
        cls._guard.release()

    @classmethod
    def after_fork_in_child(cls) -> None:
        """Close what the parent has open, but for what it was using."""
        cls._guard = threading.Lock()
        for database in cls._shared.values():
            for lane, conn in ((database._writer, database._write_conn), (database._reader, database._read_conn)):
                if conn is not None and lane in database._paused:
                    conn.close()
            database._paused = []

    # -- in the writing thread ------------------------------------------------------------------------------------------------

    def _in_transaction(self, fn: Callable[[Connection], T], deadline: float, given_up: Callable[[], bool]) -> T:
        conn = self._connected_writer(deadline, given_up)
        result = retry_while_busy(lambda: transact(conn, fn, self.path, given_up), self.path, deadline, given_up)
        callbacks, rings = conn.take_effects()
        for callback in callbacks:
            callback()
        self.doorbell.ring(rings)
        return result

    def _connected_writer(self, deadline: float, given_up: Callable[[], bool]) -> Connection:
        if self._write_conn is not None and self._is_lost(self._write_conn):
            self._write_conn = None
        if self._write_conn is None:
            self._write_conn = retry_while_busy(lambda: self._prepared(given_up), self.path, deadline, given_up)
        return self._write_conn

    def _is_lost(self, conn: Connection) -> bool:
        """Whether the file is no longer the one that `conn` has open. Then it is closed. In both threads."""
        if identity(self.path) == conn.file:
            return False
        if self._lost != conn.file:
            self._lost = conn.file
            logger.error("The database %s was deleted or replaced; its messages are gone; a new one is used", self.path)
        conn.close()
        return True

    def _prepared(self, given_up: Callable[[], bool]) -> Connection:
        conn = connect(self.path)
        try:
            use_wal(conn)
            if stored_version(conn) != SCHEMA_VERSION or self._lost:
                transact(conn, self._migrate, self.path, given_up)
        except BaseException:
            conn.close()
            raise
        return conn

    def _migrate(self, conn: Connection) -> None:
        migrate(conn)
        for make in self._tables:
            make(conn)

    def _close_writer(self, _: Job[None]) -> None:
        if self._write_conn is not None:
            self._write_conn.close()
            self._write_conn = None
        self.doorbell.close()

    # -- in the reading thread ------------------------------------------------------------------------------------------------

    def _connected_reader(self, given_up: Callable[[], bool]) -> Connection:
        if self._read_conn is not None and self._is_lost(self._read_conn):
            self._read_conn = None
        if self._read_conn is None:
            self._read_conn = self._prepared(given_up)
            self._read_conn.execute("PRAGMA query_only=1")
        return self._read_conn

    def _close_reader(self, _: Job[None]) -> None:
        if self._read_conn is not None:
            self._read_conn.close()
            self._read_conn = None


def _identity(path: str) -> tuple[int, str]:
    """By process too: connections must not be used across a fork."""
    return os.getpid(), os.path.realpath(path)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=Database.before_fork,
        after_in_parent=Database.after_fork_in_parent,
        after_in_child=Database.after_fork_in_child,
    )
