"""Waiting for a change of a store that tells of changes, but not of those while nobody is connected."""

from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from taskiq_core.server_error import ServerError

_LOOK_AGAIN: Final = 1.0
"""Seconds after which who waits looks by itself."""


class ChangeBell:
    """Rung for each change that is told. Belongs to one event loop."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self, *_: object) -> None:
        """Have all who wait look; takes whatever a listener is called with."""
        rung, self._rung = self._rung, anyio.Event()
        rung.set()

    async def wait_until(self, changed: Callable[[], Awaitable[bool]]) -> None:
        """Return once `changed` says so. Cancelling is safe; errors that pass are waited out.

        :raises ServerError: if the server refuses us for good.
        """
        while True:
            rung = self._rung
            try:
                if await changed():
                    return
            except ServerError as error:
                if not error.passing:
                    raise
            with anyio.move_on_after(_LOOK_AGAIN):
                await rung.wait()
