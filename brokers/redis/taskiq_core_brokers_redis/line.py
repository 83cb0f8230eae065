"""A link that is opened when it is needed, and opened again after it broke."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from taskiq_core_brokers_redis.errors import RedisError, ScriptMissingError
from taskiq_core_brokers_redis.link import Link, Push
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_brokers_redis.servers import Server

PATIENCE = 3.0
"""Seconds without a sign of life from Redis, while an answer is due, after which the connection is given up."""
_HASTE = 0.05
"""Seconds between two attempts to connect: whoever asks meanwhile gets the last error at once."""


class Line:
    """Reconnects on demand and never by itself; repeats nothing that may have been carried out.

    :param prepare: called with each new link before anybody else may use it.
    """

    def __init__(
        self,
        server: Server,
        *,
        patience: float,
        prepare: Callable[[Link], Awaitable[None]] | None = None,
        on_push: Push | None = None,
    ) -> None:
        self.server = server
        self._patience = patience
        self._prepare = prepare
        self._on_push = on_push
        self._link: Link | None = None
        self._opening: tuple[asyncio.AbstractEventLoop | None, asyncio.Lock] = (None, asyncio.Lock())
        self._closings = 0
        self._failed_at = 0.0
        self._failure: RedisError | None = None

    @property
    def current(self) -> Link | None:
        """The open link, if there is one."""
        return self._link if self._link is not None and self._link.usable else None

    async def link(self) -> Link:
        """An open link. Cancelling is safe.

        :raises RedisError: if the server cannot be reached within `patience` seconds, or refuses us.
        """
        return self.current or await self._open()

    async def call(self, *parts: Argument) -> Any:
        """Send one command.

        :raises RedisError: its `certain` says whether nothing was done.
        """
        link = self.current or await self._open()
        try:
            return await link.call(*parts)
        except RedisError as error:
            if error.elsewhere:
                link.close(error)
            raise

    async def run(self, script: Script, root: str, *arguments: Argument) -> Any:
        """Run a script, teaching it to the server first if it does not know it; raises as `call`."""
        packed = script.pack(root, arguments)
        link = self.current or await self._open()
        try:
            try:
                return await link.send(packed)
            except ScriptMissingError:
                await link.call("SCRIPT", "LOAD", script.text)
                return await link.send(packed)
        except RedisError as error:
            if error.elsewhere:
                link.close(error)
            raise

    async def close(self) -> None:
        """Close the link, also one that is being opened; the line may be used again."""
        self._closings += 1
        link, self._link = self._link, None
        if link is not None:
            await link.aclose()

    def blame(self, error: RedisError) -> None:
        """Break the link if an error says that another server has to be asked."""
        if error.elsewhere and self._link is not None:
            self._link.close(error)

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._opening[0] is not loop:
            self._opening = loop, asyncio.Lock()
        return self._opening[1]

    async def _open(self) -> Link:
        async with self._lock():
            if (link := self.current) is not None:
                return link
            if self._failure is not None and time.monotonic() - self._failed_at < _HASTE:
                raise self._failure.with_traceback(None)
            old, self._link = self._link, None
            if old is not None:
                await old.aclose()
            before = self._closings
            try:
                link = await self._connect()
            except RedisError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            if self._closings != before:
                await link.aclose()
                raise RedisError(reason=f"The connection to Redis at {self.server.place} was closed while it was opened.")
            self._failure, self._link = None, link
            return link

    async def _connect(self) -> Link:
        connection = await self.server.connect(self._patience)
        link = Link(connection, self.server.place, self._patience, self._on_push)
        if self._prepare is not None:
            try:
                await self._prepare(link)
            except BaseException:
                await link.aclose()
                raise
        return link
