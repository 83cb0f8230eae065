"""Hearing notifications: one connection for a channel, made again whenever it is lost."""

import asyncio
import logging
import os
import random
from collections.abc import Callable
from typing import Any

from taskiq_core.background import BackgroundTask
from taskiq_core.outage import Outage
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError

logger = logging.getLogger("taskiq.postgres")

_PAUSES = (0.1, 5.0)
"""Seconds between two attempts to connect, growing."""
_PING = 5.0
"""Seconds after which a silent connection is asked whether it lives."""


class Listener:
    """A connection of its own that listens from `start` to `close`.

    :param channel: where; begins or ends with the schema, see `Location`.
    :param heard: is given what each notification says.
    :param missed: called whenever listening begins: what was notified before was not heard.
    """

    def __init__(self, database: Database, channel: str, heard: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._database = database
        self._channel = channel
        self._heard = heard
        self._missed = missed
        self._task: BackgroundTask | None = None
        self._process = 0
        self.works = False
        """Whether notifications are heard now."""

    def start(self) -> None:
        """Listen from now on; again after a fork, which leaves the parent's connection alone."""
        if self._task is None or self._process != os.getpid():
            self._process = os.getpid()
            self._task = BackgroundTask(self._run, f"taskiq-postgres-{self._channel}")

    async def close(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None and self._process == os.getpid():
            await task.wait(0)

    async def _run(self) -> None:
        outage, pause = Outage(logger, "PostgreSQL's notifications are heard again"), _PAUSES[0]
        while True:
            try:
                connection = await self._database.connect()
                try:
                    ended = _ended(connection)
                    async with asyncio.timeout(self._database.patience):
                        await connection.add_listener(self._channel, self._note)
                    self.works = True
                    self._missed()
                    outage.over()
                    pause = _PAUSES[0]
                    await self._watch(connection, ended)
                finally:
                    self.works = False
                    connection.terminate()
            except (PostgresError, *DRIVER_ERRORS) as error:
                outage.say("PostgreSQL's notifications are not heard, and who waits looks for itself", error)
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _PAUSES[1])

    def _note(self, _connection: Any, _pid: int, _channel: str, said: str) -> None:
        self._heard(said)

    async def _watch(self, connection: Any, ended: asyncio.Event) -> None:
        """Return when the connection has ended."""
        while not ended.is_set():
            try:
                async with asyncio.timeout(_PING):
                    await ended.wait()
            except TimeoutError:
                async with asyncio.timeout(self._database.patience):
                    await connection.fetchval("SELECT 1")


def _ended(connection: Any) -> asyncio.Event:
    ended = asyncio.Event()

    def note(_: Any) -> None:
        ended.set()

    connection.add_termination_listener(note)
    return ended
