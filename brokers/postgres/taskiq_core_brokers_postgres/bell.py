"""Being woken by notifications, for all subscriptions of a broker."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
import logging
import os
import random
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from taskiq_core.outage import Outage
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import DRIVER_ERRORS, PostgresError

logger = logging.getLogger("taskiq.postgres")

_PAUSES = (0.1, 5.0)
"""Seconds between two attempts to connect, growing."""
_PING = 5.0
"""Seconds after which a silent connection is asked whether it lives."""
_LONGEST = 200
"""Characters of a queue's name that are told; the payload of a notification has 8,000 bytes."""

RING = f"SELECT pg_notify('taskiq:', name) FROM (SELECT DISTINCT left(queue, {_LONGEST}) AS name FROM touched) AS queues"
"""The end of a statement that makes messages ready: one notification for each queue of its CTE `touched`."""


class Bell:
    """One connection that listens. What it misses while it is broken, waiting subscriptions find by looking."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[asyncio.Event, frozenset[str]] = {}
        self._task: asyncio.Task[None] | None = None
        self._process = 0

    def start(self) -> None:
        """Listen from now on."""
        if self._task is None or self._process != os.getpid():
            self._process = os.getpid()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="taskiq-postgres-bell")

    async def close(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None and self._process == os.getpid():
            task.cancel()
            await asyncio.wait([task])

    @contextmanager
    def listen(self, queues: Iterable[str]) -> Generator[asyncio.Event]:
        """An event that is set when something may be ready in one of the queues."""
        event = asyncio.Event()
        self._waiting[event] = frozenset(queue[:_LONGEST] for queue in queues)
        try:
            yield event
        finally:
            del self._waiting[event]

    def _heard(self, _connection: Any, _pid: int, _channel: str, queue: str) -> None:
        for event, queues in self._waiting.items():
            if queue in queues:
                event.set()

    async def _run(self) -> None:
        outage, pause = Outage(logger, "PostgreSQL's notifications are heard again"), _PAUSES[0]
        while True:
            try:
                connection = await self._database.connect()
                try:
                    ended = _ended(connection)
                    await asyncio.wait_for(
                        connection.add_listener(self._database.location.channel, self._heard), self._database.patience
                    )
                    for event in self._waiting:  # what was notified before
                        event.set()
                    outage.over()
                    pause = _PAUSES[0]
                    await self._watch(connection, ended)
                finally:
                    connection.terminate()
            except (PostgresError, *DRIVER_ERRORS) as error:
                outage.say("PostgreSQL's notifications are not heard, and workers look by themselves", error)
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _PAUSES[1])

    async def _watch(self, connection: Any, ended: asyncio.Event) -> None:
        """Return when the connection has ended."""
        while not ended.is_set():
            try:
                await asyncio.wait_for(ended.wait(), _PING)
            except TimeoutError:
                await asyncio.wait_for(connection.fetchval("SELECT 1"), self._database.patience)


def _ended(connection: Any) -> asyncio.Event:
    ended = asyncio.Event()

    def note(_: Any) -> None:
        ended.set()

    connection.add_termination_listener(note)
    return ended
