"""Workers give up the places of unique tasks."""

import logging
from collections.abc import Sequence

import anyio

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.delivery import Verdict
from taskiq_core.group_commit import GroupCommit
from taskiq_core.labels import UNIQUE
from taskiq_core.message import TaskiqMessage
from taskiq_core.uniqueness import Place
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import judge

logger = logging.getLogger("taskiq.worker")

_PATIENCE = 1.0
"""Seconds that a task or a result waits for the coordinator."""
_LEAVING = 0.2
"""The same, when the worker is about to end."""
_MOST = 10_000
"""Claims that are kept while the coordinator is away; of more the eldest end by their ttl."""

Claimed = list[tuple[str, str]]


class Claims:
    """Releases what messages with the label `_unique` have claimed: before their task starts, or before its result is out.

    So whoever runs in a task, or has its result, may send the next one. A coordinator that does not answer delays both by a
    second, once: what is left to release then is tried again off their way, and ends by its ttl at the latest.
    """

    def __init__(self, coordinator: Coordinator | None) -> None:
        self._coordinator = coordinator
        self._line = GroupCommit[Claimed](self._release)
        self._away = False
        self._pending: Claimed = []
        self._arrived = anyio.Event()
        self._leaving = False
        self._closed = False
        self.done = anyio.Event()

    async def starting(self, message: TaskiqMessage) -> None:
        """A task is about to run. Cancelling is safe: what is not released then is released later."""
        place = _place_of(message)
        if place is not None and place.until == "started":
            await self._give_up([(place.key, message.task_id)])

    async def ending(self, outcomes: Sequence[Outcome]) -> None:
        """Results are about to go out; deliveries that will come again keep their places. Cancelling is safe, see above."""
        given_up: Claimed = []
        for outcome in outcomes:
            message = outcome.message
            if message is not None and message.labels and (place := _place_of(message)) is not None and _is_final(outcome):
                given_up.append((place.key, message.task_id))
        if given_up:
            await self._give_up(given_up)

    async def _give_up(self, claimed: Claimed) -> None:
        released = self._coordinator is None
        try:
            if not released and not self._away:
                patience = _LEAVING if self._leaving else _PATIENCE
                with anyio.move_on_after(patience):
                    await self._line.submit(claimed, patience)
                    released = True
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; said where it is tried again
            logger.debug("Places of unique tasks are not given up yet: %r", error)
        finally:
            if not released:
                self._away = True
                self._later(claimed)

    async def _release(self, batches: list[Claimed]) -> None:
        assert self._coordinator is not None
        await self._coordinator.release([pair for batch in batches for pair in batch])

    def _later(self, claimed: Claimed) -> None:
        self._pending += claimed
        if len(self._pending) > _MOST:
            del self._pending[: _MOST // 10]
        self._arrived.set()

    def leave(self) -> None:
        """The worker is about to end: nothing waits long for the coordinator from now on."""
        self._leaving = True

    def close(self) -> None:
        """`run` ends when all is released."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """Release until closed; sets `done` at the end."""
        try:
            if self._coordinator is not None:
                await self._release_later(self._coordinator)
        finally:
            self.done.set()

    async def _release_later(self, coordinator: Coordinator) -> None:
        backoff = Backoff(logger, "Places of unique tasks are given up again")
        while self._pending or not self._closed:
            if not self._pending:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            batch, self._pending = self._pending, []
            if not batch:
                continue
            try:
                await coordinator.release(batch)
                self._away = False
                backoff.over()
            except Exception as error:  # noqa: BLE001 - a driver may raise anything, and the claims end by themselves
                self._pending = [*batch, *self._pending]
                if self._closed:
                    logger.warning("%d places of unique tasks end by their ttl: %r", len(self._pending), error)
                    return
                await backoff.sleep("Places of unique tasks cannot be given up, trying again", error)


def _place_of(message: TaskiqMessage) -> Place | None:
    text = message.labels.get(UNIQUE.name)
    return None if text is None else Place.read(str(text))


def _is_final(outcome: Outcome) -> bool:
    verdict = judge(outcome.ending).verdict
    left_to_its_lease = outcome.manual and not outcome.acked
    return verdict is Verdict.REJECT or (verdict is Verdict.ACK and not left_to_its_lease)
