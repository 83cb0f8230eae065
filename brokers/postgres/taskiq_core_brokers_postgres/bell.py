"""Being woken by notifications, for all subscriptions of a broker."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.listening import Listener

_LONGEST = 200
"""Characters of a queue's name that are told; the payload of a notification has 8,000 bytes."""

RING = f"SELECT pg_notify('taskiq:', name) FROM (SELECT DISTINCT left(queue, {_LONGEST}) AS name FROM touched) AS queues"
"""The end of a statement that makes messages ready: one notification for each queue of its CTE `touched`."""


class Bell:
    """Tells waiting subscriptions that something may be ready. What it misses while it is broken they find by looking."""

    def __init__(self, database: Database) -> None:
        self._waiting: dict[asyncio.Event, frozenset[str]] = {}
        self._listener = Listener(database, database.location.channel, self._heard, self._missed)

    def start(self) -> None:
        """Listen from now on."""
        self._listener.start()

    async def close(self) -> None:
        """Listen no more."""
        await self._listener.close()

    @contextmanager
    def listen(self, queues: Iterable[str]) -> Generator[asyncio.Event]:
        """An event that is set when something may be ready in one of the queues."""
        event = asyncio.Event()
        self._waiting[event] = frozenset(queue[:_LONGEST] for queue in queues)
        try:
            yield event
        finally:
            del self._waiting[event]

    def _heard(self, queue: str) -> None:
        for event, queues in self._waiting.items():
            if queue in queues:
                event.set()

    def _missed(self) -> None:
        for event in self._waiting:
            event.set()
