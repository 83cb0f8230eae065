"""Hearing of results without asking again: the server's own memory of who has looked for a key.

With `CLIENT TRACKING` Redis remembers which connection has looked at which key, and tells it once when the key changes. So a
question for results that are not there is also the order to be told of them. It costs nothing for results that nobody waits
for, needs no cleaning up, and ends with the connection.
"""

import contextlib
import logging
from collections.abc import Collection, Generator, Sequence
from typing import Any

import anyio

from taskiq_core_brokers_redis.errors import RedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.link import Link
from taskiq_core_brokers_redis.servers import Server

logger = logging.getLogger("taskiq.redis")

_LOOK_AGAIN = 5.0
"""Seconds after which we look for ourselves, should the server have forgotten us."""
_POLL = 0.05
"""The same, in seconds, where the server does not allow tracking."""
_MOST = 100_000
"""Keys that one connection keeps in mind; then a new one starts afresh."""


class Arrivals:
    """Which of some keys have come into being; one connection for all who wait in this process.

    :param head: what keys start with; everyone else knows them by the rest.
    """

    def __init__(self, server: Server, head: str, patience: float) -> None:
        self._head = head
        self._line = Line(server, patience=patience, prepare=self._track, on_push=self._note)
        self._tracks = True
        self._watched: set[str] = set()
        self._arrived: set[str] = set()
        self._news: set[str] = set()
        self._all = False
        self._rang = anyio.Event()

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()

    async def which(self, names: Sequence[str]) -> list[str]:
        """Those that may exist; whoever waits for the others is told when they come.

        :raises RedisError: if the server cannot be asked.
        """
        if len(self._watched) > _MOST:
            await self._line.close()
        link = await self._line.link()
        new = [name for name in names if name not in self._watched and name not in self._news]
        if new:
            # Before the question: news of them may come with the answer. And on this link, which is the one that is told.
            self._watched.update(new)
            try:
                existing = await link.call("EXISTS", *[self._head + name for name in new])
            except BaseException:
                self._watched.difference_update(new)
                raise
            if existing:
                return [*new, *(name for name in names if name in self._news)]
        return [name for name in names if name in self._news]

    @contextlib.contextmanager
    def open(self) -> Generator["Arrivals"]:
        """For `SharedWait`."""
        yield self

    async def wait(self) -> Collection[str] | None:
        """See `Watch.wait`."""
        if not (self._arrived or self._all):
            self._rang = anyio.Event()
            with anyio.move_on_after(_LOOK_AGAIN if self._tracks else _POLL) as scope:
                await self._rang.wait()
            if scope.cancelled_caught:
                self._watched.clear()
                return None
        if self._all:
            self._all = False
            return None
        self._news, self._arrived = self._arrived, set()  # handed over once, also where nobody waits for them any more
        return self._news

    async def _track(self, link: Link) -> None:
        self._watched.clear()
        link.on_broken = self._forget
        try:
            await link.call("CLIENT", "TRACKING", "ON")
        except RedisError as error:
            if error.passing:
                raise
            if self._tracks:
                logger.warning("Redis at %s does not tell of changes, so results are polled for: %s", link.place, error)
            self._tracks = False

    def _note(self, message: Sequence[Any]) -> None:
        if message[0] != b"invalidate":
            return
        if message[1] is None:  # the database was flushed
            self._forget()
            return
        start = len(self._head)
        names = {bytes(key)[start:].decode() for key in message[1]}
        self._arrived.update(names & self._watched)
        self._watched -= names
        self._rang.set()

    def _forget(self) -> None:
        for names in (self._watched, self._arrived, self._news):
            names.clear()
        self._all = True
        self._rang.set()
