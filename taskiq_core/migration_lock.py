"""That one run at a time moves messages out of a broker or into it.

Each run marks its two brokers: it pauses a queue there which nobody uses, and whose name is its own. A pause is the one thing
that every broker keeps, shows to everybody at once, and loses neither with a process nor with its server. Who holds the lock
takes the marks of others away, so a run whose mark is gone knows that another one works. Marks that nobody takes away for some
seconds tell that the others are of runs that were killed.
"""

import logging
import math
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import anyio

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.background import BackgroundTask
from taskiq_core.exceptions import BrokerError, ConfigurationError

MARK = "taskiq-migrate."
"""What the names of marks begin with."""
_LOOK = 1.0
"""Seconds between two looks of who holds the lock."""
_SILENCE = 4.0
"""Seconds after which a mark that was not taken away shows that nobody holds the lock."""
_FRESH = 2.0
"""Seconds in which what was seen is taken for what is."""
_LEAVING = 3.0

logger = logging.getLogger("taskiq.migrate")


class MigrationLock:
    """Entered and left by a run; in between nobody else enters one of the same brokers.

    Entering raises `ConfigurationError` if another run holds it, or if both brokers are one place. It takes some seconds if a
    run was killed before. Cancelling is safe.

    :param sides: how each broker is called in sentences.
    """

    def __init__(self, sides: Mapping[str, QueueAdmin]) -> None:
        self._sides = sides
        self._mark = MARK + uuid.uuid4().hex
        self._seen = -math.inf
        self._keeper: BackgroundTask | None = None
        self.lost: bool = False
        """Whether another run has taken over, as this one stood still for too long."""

    async def __aenter__(self) -> Self:
        try:
            await self._set_marks()
            if await self._others():
                logger.warning("There is the mark of another run: waiting %g s to see whether that works still", _SILENCE)
                await self._wait_for_silence()
            self._require(await self._clear())
        except BaseException:
            await self._leave()
            raise
        self._keeper = BackgroundTask(self._keep, "the lock of a migration")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()

    async def confirm(self) -> None:
        """See to it that the lock is held, before a step that two must not do.

        :raises BrokerError: if it is lost, or that cannot be seen.
        """
        if not self.lost and clock.monotonic() - self._seen > _FRESH:
            await self._look()
        if self.lost:
            raise BrokerError(reason="This run stood still for some seconds, and another one has taken over: that one goes on.")

    async def _set_marks(self) -> None:
        for admin in self._sides.values():
            if self._mark in await admin.paused():
                raise ConfigurationError(reason="Source and target are the same place: there is nothing to move.")
            await admin.pause(self._mark)

    async def _wait_for_silence(self) -> None:
        end = clock.monotonic() + _SILENCE
        while (left := end - clock.monotonic()) > 0:
            await anyio.sleep(min(left, _LOOK))
            self._require(await self._gone())

    def _require(self, gone: Sequence[str]) -> None:
        for side in gone:
            reason = (
                f"Another run of `taskiq migrate` works at this {side}. Wait for its end, then run this one again "
                "for what is left."
            )
            raise ConfigurationError(reason=reason)

    async def _clear(self) -> list[str]:
        """Take the marks of others away, and then see where ours is not any more; where that was so before, do neither."""
        begin = clock.monotonic()
        gone = await self._gone()
        if not gone:
            for name, admin in await self._others():
                await admin.resume(name)
            gone = await self._gone()
        if not gone:
            self._seen = begin
        return gone

    async def _gone(self) -> list[str]:
        """The sides where our mark is not any more."""
        return [side for side, admin in self._sides.items() if self._mark not in await admin.paused()]

    async def _others(self) -> list[tuple[str, QueueAdmin]]:
        """Marks of others, and where they are."""
        return [
            (name, admin)
            for admin in self._sides.values()
            for name in await admin.paused()
            if name.startswith(MARK) and name != self._mark
        ]

    async def _look(self) -> None:
        self.lost = bool(await self._clear())

    async def _keep(self) -> None:
        while not self.lost:
            await anyio.sleep(_LOOK)
            try:
                await self._look()
            except BrokerError as error:
                logger.debug("The lock of a migration was not looked after: %s", error)  # `confirm` tells who needs it

    async def _leave(self) -> None:
        """Take our marks away; one that cannot be is found by the next run, which waits a little for it."""
        with anyio.move_on_after(_LEAVING, shield=True):
            if self._keeper is not None:
                await self._keeper.wait(0)
            for admin in self._sides.values():
                try:
                    await admin.resume(self._mark)
                except BrokerError as error:
                    logger.debug("The mark of a migration was not taken away: %s", error)
