"""Waiting until schedules have changed."""

import asyncio
import contextlib
from typing import Final

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.link import Link, Msg, pub
from taskiq_core_result_backends_nats.bucket import Bucket

_LOOK_AGAIN: Final = 1.0
"""Seconds after which we look ourselves: for a change while the connection was broken."""


class ChangeWatch:
    """Who changes schedules gives the mark of their bucket a new revision, and tells those who listen."""

    def __init__(self, connection: Connection, schedules: Bucket, subject: str) -> None:
        self._connection, self._schedules, self._subject = connection, schedules, subject
        self._bell = asyncio.Event()
        connection.listen(subject, self._ring)
        connection.on_link(self._ring)

    async def tell(self) -> None:
        """After a change."""
        with contextlib.suppress(NatsError):  # then the others look for themselves
            (await self._connection.usable()).write(pub(self._subject, b""))

    async def revision(self) -> int:
        """Of the last change; 0 before the first.

        :raises NatsError: if the server cannot be asked.
        """
        found = await self._schedules.at([self._schedules.mark])
        return found[self._schedules.mark].revision if found else 0

    async def wait(self, seen: int) -> None:
        """Return once the last change is another one than `seen`. Cancelling is safe; broken connections are waited out.

        :raises NatsError: if the server refuses us for good.
        """
        while True:
            self._bell.clear()
            try:
                if await self.revision() != seen:
                    return
            except NatsError as error:
                if not error.passing:
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._bell.wait()

    def _ring(self, _: Msg | Link) -> None:
        self._bell.set()
