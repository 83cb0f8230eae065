"""One SQLite connection as this distribution uses it: explicit transactions that retry while others hold the lock."""

import itertools
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from taskiq_core_brokers_sqlite.errors import explain, is_busy
from taskiq_core_brokers_sqlite.presence import FileIdentity, create, identity

T = TypeVar("T")

_serial = itertools.count()

_LOCKOUT = 0.5
"""Seconds of a lock that may have kept others from renewing their leases."""
_LENIENCE = 1.0
"""Seconds that they get to make up for it."""
_CLOCK_STEP = 1.0
"""Seconds between two looks at the clock that no clock goes wrong by itself."""


class Connection(sqlite3.Connection):
    """Collects what is to happen once the running transaction is durable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._after_commit: list[Callable[[], None]] = []
        self._rings: set[str] = set()
        self.next_expiry: float = 0.0
        """When this connection looks for expired rows again (monotonic seconds)."""
        self.leases_count_from: float = 0.0
        """Until then (monotonic seconds) an ended lease says nothing about its holder."""
        self.file: FileIdentity | None = None
        """Which file it is, whatever has become of its name."""
        self.serial = next(_serial)
        self._locked_out_since: float | None = None
        self._clock_ahead = time.time() - time.monotonic()

    def watch_clock(self, now: float, lease: float) -> None:
        """Be told the time: leases end by the clock of the system, which somebody may set.

        After a step forward every lease seems to have ended. The holders who live renew them, by the new time, within a third
        of a lease; until they have had the time to, leases do not count.
        """
        ahead = now - time.monotonic()
        if ahead - self._clock_ahead > _CLOCK_STEP:
            self.leases_count_from = max(self.leases_count_from, time.monotonic() + lease)
        self._clock_ahead = ahead

    def begin(self) -> None:
        """Begin to write.

        Nobody could renew a lease while the file was locked: after a lockout the others get a moment to do it before
        leases count again.

        :raises sqlite3.OperationalError: if the file is locked.
        """
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            self._locked_out_since = self._locked_out_since or time.monotonic()
            raise
        if self._locked_out_since is not None:
            now = time.monotonic()
            if now - self._locked_out_since > _LOCKOUT:
                self.leases_count_from = now + _LENIENCE
            self._locked_out_since = None

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` in this thread after the commit, or not at all."""
        self._after_commit.append(callback)

    def ring(self, *channels: str) -> None:
        """Wake whoever listens to `channels`, in any process, after the commit."""
        self._rings.update(channels)

    def take_effects(self) -> tuple[list[Callable[[], None]], set[str]]:
        """What has been collected since the last call."""
        effects = self._after_commit, self._rings
        self._after_commit, self._rings = [], set()
        return effects


def connect(path: str) -> Connection:
    """Open the file; waiting for locks is left to `transact`.

    :raises sqlite3.Error: as SQLite does.
    """
    create(path)
    found = identity(path)  # before it is opened: if it is replaced just then, it will be seen to differ
    conn = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=512, factory=Connection
    )
    conn.file = found or identity(path)
    try:
        for pragma in ("synchronous=NORMAL", "cache_size=-8000", "temp_store=MEMORY", "journal_size_limit=67108864"):
            conn.execute(f"PRAGMA {pragma}")
    except BaseException:
        conn.close()
        raise
    return conn


def retry_while_busy(step: Callable[[], T], path: str, deadline: float, given_up: Callable[[], bool]) -> T:
    """Repeat `step` while the file is locked, until the deadline (monotonic seconds) or until `given_up()`.

    :raises DatabaseError: for the last "locked", and at once for every other error of SQLite.
    """
    pause = 0.0002
    while True:
        try:
            return step()
        except sqlite3.Error as error:
            left = deadline - time.monotonic()
            if not is_busy(error) or left <= 0 or given_up():
                raise explain(error, path) from error
            time.sleep(min(left, pause * (0.5 + random.random())))
            pause = min(pause * 1.5, 0.01)


def transact(conn: Connection, fn: Callable[[Connection], T], path: str, given_up: Callable[[], bool]) -> T:
    """Run `fn` in one transaction. The commit is not made once `given_up()`; SQLite's errors pass through.

    :raises DatabaseError: with `certain` False, if the commit itself failed for another reason than a full disk or a lock.
    """
    conn.begin()
    try:
        result = fn(conn)
        _check_wanted(given_up)
    except BaseException:
        _roll_back(conn)
        raise
    try:
        conn.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(conn)
        if is_busy(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            raise
        raise explain(error, path, certain=False) from error
    return result


def data_version(conn: Connection) -> tuple[int, int]:
    """Changes whenever another connection, here or elsewhere, has written to the file, and when the file is another one."""
    return conn.serial, int(conn.execute("PRAGMA data_version").fetchone()[0])


class GivenUpError(Exception):
    """The caller of a transaction has gone before it was committed."""


def _check_wanted(given_up: Callable[[], bool]) -> None:
    if given_up():
        raise GivenUpError


def _roll_back(conn: Connection) -> None:
    conn.take_effects()
    if conn.in_transaction:  # some errors, a full disk among them, have rolled back already
        conn.execute("ROLLBACK")
