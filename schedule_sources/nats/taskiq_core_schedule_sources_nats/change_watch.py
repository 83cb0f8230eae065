"""Waiting until schedules have changed."""

import contextlib

from taskiq_core.change_bell import ChangeBell
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.link import pub
from taskiq_core_result_backends_nats.bucket import Bucket


class ChangeWatch:
    """Who changes schedules gives the mark of their bucket a new revision, and tells those who listen."""

    def __init__(self, connection: Connection, schedules: Bucket, subject: str) -> None:
        self._connection, self._schedules, self._subject = connection, schedules, subject
        self._bell = ChangeBell()
        connection.listen(subject, self._bell.ring)
        connection.on_link(self._bell.ring)

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

        async def changed() -> bool:
            return await self.revision() != seen

        await self._bell.wait_until(changed)
