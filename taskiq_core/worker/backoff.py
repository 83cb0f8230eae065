"""Waiting between tries, and saying so once rather than each time."""

import logging
import random
import time

import anyio

_FIRST, _MOST = 0.05, 2.0


class Backoff:
    """Growing pauses of 50 ms to 2 s with jitter."""

    def __init__(self) -> None:
        self._pause = _FIRST
        self._said: tuple[logging.Logger, str, float] | None = None

    def reset(self) -> None:
        """The outage is over; if it was told of, so is its end."""
        if self._said is not None:
            logger, what, since = self._said
            logger.info("It works again after %.1f s. (%s.)", time.monotonic() - since, what)
            self._said = None
        self._pause = _FIRST

    def next(self) -> float:
        """Seconds to wait now; longer each time."""
        pause, self._pause = self._pause, min(self._pause * 2, _MOST)
        return pause * random.uniform(0.7, 1.3)

    def say(self, logger: logging.Logger, what: str, error: BaseException) -> None:
        """Log it: the first time in an outage as a warning, then for debugging."""
        logger.log(logging.DEBUG if self._said else logging.WARNING, "%s: %s: %s", what, type(error).__name__, error)
        self._said = self._said or (logger, what, time.monotonic())

    async def sleep(self, logger: logging.Logger, what: str, error: BaseException) -> None:
        """Say it and wait."""
        self.say(logger, what, error)
        await anyio.sleep(self.next())
