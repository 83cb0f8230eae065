"""Connections to one database: a few, opened when they are needed, and thrown away when they fail."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from taskiq_core_brokers_postgres.connecting import connect
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError, explain, lost
from taskiq_core_brokers_postgres.location import Location

_inherited: list[Any] = []
"""Connections of the process that this one was forked from: never used, and never closed."""
_CONNECTIONS = 4
_CLOSING = 0.5
"""Seconds that closing waits for attempts to connect."""
_HASTE = 0.05
"""Seconds between two attempts to connect: whoever asks meanwhile gets the last error at once."""


class Database:
    """Runs statements, each alone or some in a transaction. Repeats nothing that may have been carried out.

    :param patience: seconds without an answer after which a connection is given up.
    """

    def __init__(self, location: Location, patience: float) -> None:
        self.location = location
        self.patience = patience
        self.retiring: set[asyncio.Task[Any]] = set()
        """What says that a consumer receives no more; who calls messages out of their lines waits for these."""
        self._idle: list[Any] = []
        self._attempts: set[asyncio.Future[Any]] = set()
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._closed = False
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: PostgresError | None = None
        self._failed_at = 0.0

    async def open(self) -> None:
        """Be of use (again), in the event loop that runs. Connects to nothing yet."""
        await self.close()
        self._process = os.getpid()
        self._room = asyncio.Semaphore(_CONNECTIONS)
        self._closed, self._failure = False, None
        self._attempts = set()

    @property
    def usable(self) -> bool:
        """Whether it is open, in the process that opened it."""
        return not self._closed and self._process == os.getpid()

    def _follow(self) -> None:
        """Into the event loop that runs: connections of one that has ended can neither be used there nor closed."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop and self._process == os.getpid():
            self._idle, self._attempts, self._room = [], set(), asyncio.Semaphore(_CONNECTIONS)
        self._loop = loop

    async def connect(self) -> Any:
        """A new connection, for the caller to close.

        :raises PostgresError: if the server cannot be reached within the patience, or refuses us.
        """
        self._follow()
        # The driver complains of attempts that are cut off: nobody's cancelling ends one.
        attempt = asyncio.ensure_future(connect(self.location, self.patience))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.add_done_callback(_hang_up)
            raise

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """Run one statement, which is a transaction of its own, and return its rows.

        Cancelling gives the connection up; whether the statement took place is unknown then.

        :raises PostgresError: its `certain` says whether nothing was done.
        """
        async with self._borrowed() as connection:
            rows: Sequence[Any] = await connection.fetch(self.named(statement), *arguments)
            return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator["Transaction", None]:
        """Several statements as one step; raises as `fetch`."""
        async with self._borrowed() as connection, as_one_step(connection):
            yield Transaction(connection, self)

    async def close(self) -> None:
        """Close what is open; what is in use is closed when it is given back."""
        self._closed = True
        self._follow()
        if self._attempts and self._process == os.getpid():
            await asyncio.wait(self._attempts, timeout=_CLOSING)
        self._drop_idle()

    def named(self, statement: str) -> str:
        """A statement on this database's schema."""
        return in_schema(statement, self.location.schema)

    @asynccontextmanager
    async def _borrowed(self) -> AsyncGenerator[Any, None]:
        self._follow()
        async with self._room:
            connection = await self._take()
            well = False
            try:
                async with asyncio.timeout(self.patience):
                    yield connection
                well = True
            except TimeoutError:
                self._drop_idle()
                why = f"no answer for {self.patience:g} s"
                raise lost(self.location.server, why, certain=False) from None
            except DRIVER_ERRORS as error:
                explained = explain(error, self.location.server)
                well = explained.held_up or not explained.passing
                if not well:
                    self._drop_idle()
                raise explained from error
            finally:
                if well and not self._closed and not connection.is_closed():
                    self._idle.append(connection)
                else:
                    connection.terminate()

    def _drop_idle(self) -> None:
        """Where one connection is dead the others may be too, and each would be waited for."""
        idle, self._idle = self._idle, []
        if self._process != os.getpid():
            # Forked: they are the parent's, and so is the selector that closing one would take it out of.
            _inherited.extend(idle)
            return
        for connection in idle:
            connection.terminate()

    async def _take(self) -> Any:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        if self._failure is not None and time.monotonic() - self._failed_at < _HASTE:
            raise self._failure.with_traceback(None)
        try:
            connection = await self.connect()
        except PostgresError as error:
            self._failure, self._failed_at = error, time.monotonic()
            raise
        self._failure = None
        return connection


class Transaction:
    """Statements that take effect together, or not at all."""

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Any]:
        """Run one statement and return its rows."""
        rows: Sequence[Any] = await self._connection.fetch(self._database.named(statement), *arguments)
        return rows


@asynccontextmanager
async def as_one_step(connection: Any) -> AsyncGenerator[None]:
    """The block's statements in one transaction. After any error the connection is ended, which makes the server roll back.

    Nothing is sent after an error: where the network is what has failed, nobody would answer.
    """
    try:
        await connection.execute("BEGIN")
        yield
        await connection.execute("COMMIT")
    except BaseException:
        connection.terminate()
        raise


def _hang_up(attempt: asyncio.Future[Any]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


@cache
def in_schema(statement: str, schema: str) -> str:
    """A statement with the real name of its schema."""
    return statement.replace("taskiq.", f'"{schema}".').replace("taskiq:", f"taskiq:{schema}")
