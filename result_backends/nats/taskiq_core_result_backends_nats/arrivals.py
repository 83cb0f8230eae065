"""Hearing of results without asking again: those who store a batch tell its ids to those who listen."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Generator, Sequence

from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.link import Link, Msg, pub

_LOOK_AGAIN = 5.0
"""Seconds after which we look for ourselves: what is told is told once, to those who are there."""
_MOST = 1000
"""Ids in one message."""


class Arrivals:
    """One subscription for all who wait in this process, from the first wait on.

    What is told is a hint: the result is read from its bucket. So nothing but time is lost with a message.

    :param on_shelf: called with the shelf where results were stored.
    """

    def __init__(self, connection: Connection, subject: str, on_shelf: Callable[[str], None]) -> None:
        self._connection, self._subject, self._on_shelf = connection, subject, on_shelf
        self._listens = False
        self._waited_for = False
        self._arrived: set[str] = set()
        self._all = False
        self._rang = asyncio.Event()

    def listen(self) -> None:
        """Before a look at what is there: whatever is stored afterwards is heard of."""
        if not self._listens:
            self._listens = True
            self._connection.listen(self._subject, self._note)
            self._connection.on_link(self._look_again)

    def tell(self, link: Link, shelf: str, task_ids: Sequence[str]) -> None:
        """These have been stored."""
        for start in range(0, len(task_ids), _MOST):
            with contextlib.suppress(NatsError):  # then everybody looks for themselves, see above
                link.write(pub(self._subject, pack([shelf, task_ids[start : start + _MOST]])))

    @contextlib.contextmanager
    def open(self) -> Generator["Arrivals"]:
        """For `SharedWait`."""
        self._waited_for = True
        self._arrived.clear()
        try:
            yield self
        finally:
            self._waited_for = False

    async def wait(self) -> Collection[str] | None:
        """See `Watch.wait`."""
        if not (self._arrived or self._all):
            self._rang.clear()
            try:
                async with asyncio.timeout(_LOOK_AGAIN):
                    await self._rang.wait()
            except TimeoutError:
                return None
        if self._all:
            self._all = False
            return None
        arrived, self._arrived = self._arrived, set()
        return arrived

    def _note(self, message: Msg) -> None:
        if self._waited_for:
            shelf, task_ids = unpack(message.data)
            self._on_shelf(shelf)
            self._arrived.update(task_ids)
            self._rang.set()

    def _look_again(self, _: Link) -> None:
        # Nobody told us anything while there was no connection.
        self._all = True
        self._rang.set()
