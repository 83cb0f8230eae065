"""Waiting between tries."""

import random
from collections.abc import Awaitable, Callable

import anyio

from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.outage import Outage

_FIRST, _MOST = 0.05, 2.0


class Backoff(Outage):
    """An outage with growing pauses of 50 ms to 2 s with jitter between the tries."""

    _pause = _FIRST

    def over(self) -> None:
        super().over()
        self._pause = _FIRST

    def next(self) -> float:
        """Seconds to wait now; longer each time."""
        pause, self._pause = self._pause, min(self._pause * 2, _MOST)
        return pause * random.uniform(0.7, 1.3)

    async def sleep(self, what: str, error: BaseException) -> None:
        """Say it and wait."""
        self.say(what, error)
        await anyio.sleep(self.next())

    async def start(
        self, startup: Callable[[], Awaitable[object]], shutdown: Callable[[], Awaitable[object]], what: str
    ) -> None:
        """Call `startup` until it succeeds, and after each broker's error `shutdown`; `what` says that it failed.

        :raises ConfigurationError: for what can never be started so, or whatever else `startup` raises.
        """
        while True:
            try:
                await startup()
            except ConfigurationError:
                raise
            except BrokerError as error:
                await shutdown()
                await self.sleep(what, error)
            else:
                self.over()
                return
