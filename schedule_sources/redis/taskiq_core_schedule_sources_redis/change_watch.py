"""Waiting until schedules have changed."""

import asyncio
import contextlib
from typing import Any, Final

from taskiq_core_brokers_redis.errors import RedisError, UnusableRedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.link import Link
from taskiq_core_brokers_redis.location import Location

_LOOK_AGAIN: Final = 1.0
"""Seconds after which we look ourselves: for a change while the connection was broken, or on a server that tells nothing."""


class ChangeWatch:
    """Redis tells, on a connection of its own, when the key that holds the time of the last change is written."""

    def __init__(self, location: Location, patience: float) -> None:
        self._key = f"{location.root}:schedules:changed"
        self._line = Line(location.server, patience=patience, prepare=_track, on_push=self._ring)
        self._bell = asyncio.Event()

    async def wait(self, seen: bytes | None) -> None:
        """Return once the last change is another one than `seen`. Cancelling is safe; broken connections are waited out.

        :raises UnusableRedisError: if the server refuses us for good.
        """
        while True:
            bell = self._bell
            try:
                # Redis tells of the next change of a key only to those who have read it since the last one.
                if await self._line.call("GET", self._key) != seen:
                    return
            except UnusableRedisError:
                raise
            except RedisError:
                pass
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await bell.wait()

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()

    def _ring(self, push: list[Any]) -> None:
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()


async def _track(link: Link) -> None:
    with contextlib.suppress(UnusableRedisError):  # not allowed for this user: then we look ourselves
        await link.call("CLIENT", "TRACKING", "ON")
