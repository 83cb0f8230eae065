"""Waiting between tries, and saying so once rather than each time."""

import logging
import random

import anyio

_FIRST, _MOST = 0.05, 2.0


class Backoff:
    """Growing pauses of 50 ms to 2 s with jitter."""

    def __init__(self) -> None:
        self._pause = _FIRST
        self._said = False

    def reset(self) -> None:
        """The outage is over."""
        self._pause, self._said = _FIRST, False

    async def sleep(self, logger: logging.Logger, what: str, error: BaseException) -> None:
        """Pause; the first one of an outage is logged as a warning, the others for debugging."""
        logger.log(logging.DEBUG if self._said else logging.WARNING, "%s: %s: %s", what, type(error).__name__, error)
        self._said = True
        await anyio.sleep(self._pause * random.uniform(0.7, 1.3))
        self._pause = min(self._pause * 2, _MOST)
