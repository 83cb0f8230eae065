"""Hearing of results: each statement that stores some tells their ids to all who listen."""

import json
from collections.abc import Collection, Generator
from contextlib import contextmanager

import anyio

from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.listening import Listener

_POLL = 0.1
"""Seconds between two looks while notifications are not heard."""


class Arrivals:
    """What has been stored since it was asked for last; one connection for all who wait in this process.

    It listens from the first wait until the end: a new connection for each wait would cost more than what it hears unasked.

    :param floor: seconds after which who waits looks for itself, whatever is heard.
    """

    def __init__(self, database: Database, floor: float) -> None:
        self._listener = Listener(database, database.location.results_channel, self._heard, self._missed)
        self._floor = floor
        self._open = False
        self._arrived: set[str] = set()
        self._all = False
        self._rang = anyio.Event()

    async def close(self) -> None:
        """Listen no more."""
        await self._listener.close()

    @contextmanager
    def open(self) -> Generator["Arrivals"]:
        """For `SharedWait`."""
        self._listener.start()
        self._arrived, self._all, self._open = set(), False, True
        try:
            yield self
        finally:
            self._open = False

    async def wait(self) -> Collection[str] | None:
        """See `Watch.wait`."""
        if not (self._arrived or self._all):
            self._rang = anyio.Event()
            with anyio.move_on_after(self._floor if self._listener.works else min(_POLL, self._floor)):
                await self._rang.wait()
        arrived, self._arrived = self._arrived, set()
        looks_at_all, self._all = self._all or not arrived, False
        return None if looks_at_all else arrived

    def _heard(self, told: str) -> None:
        if not self._open:
            return
        if told:
            self._arrived.update(json.loads(told))
        else:
            self._all = True
        self._rang.set()

    def _missed(self) -> None:
        self._all = True
        self._rang.set()
