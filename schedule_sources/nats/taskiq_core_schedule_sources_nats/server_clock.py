"""What time it is at the server."""

import time
from typing import Final

from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.stream import seconds_of
from taskiq_core_result_backends_nats.bucket import Bucket, Entry

_AGREED: Final = 60.0
"""Seconds for which two clocks run alike."""


class ServerClock:
    """The time when the server stored a mark, carried on by our own clock; looked at again every minute.

    It is behind the server's by the time of one round trip at most, and never ahead of it.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._behind = 0.0
        self._set_at = -_AGREED

    async def now(self) -> float:
        """Seconds since the epoch.

        :raises NatsError: if the server cannot be asked.
        """
        if time.monotonic() - self._set_at >= _AGREED:
            await self._set()
        return time.monotonic() + self._behind

    async def _set(self) -> None:
        await self._bucket.put({}, mark=True)
        heard = time.monotonic()
        found = await self._bucket.at([self._bucket.mark])
        if self._bucket.mark not in found:
            raise NatsError(reason="The clock of NATS cannot be read, as its bucket was deleted.", passing=True)
        self._behind = moment_of(found[self._bucket.mark]) - heard
        self._set_at = heard


def moment_of(entry: Entry) -> float:
    """When it was stored, in seconds since the epoch."""
    return seconds_of(entry.stored)
