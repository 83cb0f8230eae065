"""Waiting until schedules have changed."""

import contextlib

from taskiq_core.change_bell import ChangeBell
from taskiq_core_brokers_redis.errors import UnusableRedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.link import Link
from taskiq_core_brokers_redis.location import Location


class ChangeWatch:
    """Redis tells, on a connection of its own, when the key that holds the time of the last change is written."""

    def __init__(self, location: Location, patience: float) -> None:
        self._key = f"{location.root}:schedules:changed"
        self._bell = ChangeBell()
        self._line = Line(location.server, patience=patience, prepare=_track, on_push=self._bell.ring)

    async def wait(self, seen: bytes | None) -> None:
        """Return once the last change is another one than `seen`. Cancelling is safe; broken connections are waited out.

        :raises RedisError: if the server refuses us for good.
        """

        async def changed() -> bool:
            # Redis tells of the next change of a key only to those who have read it since the last one.
            return bool(await self._line.call("GET", self._key) != seen)

        await self._bell.wait_until(changed)

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


async def _track(link: Link) -> None:
    with contextlib.suppress(UnusableRedisError):  # not allowed for this user: then we look ourselves
        await link.call("CLIENT", "TRACKING", "ON")
