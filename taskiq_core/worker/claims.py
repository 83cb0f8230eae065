"""Workers give up the places of unique tasks, in batches, off the tasks' way."""

import logging
from collections.abc import Sequence

import anyio

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.delivery import Verdict
from taskiq_core.labels import UNIQUE
from taskiq_core.message import TaskiqMessage
from taskiq_core.uniqueness import Place, Until
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import judge

logger = logging.getLogger("taskiq.worker")

_MOST = 10_000
"""Claims that are kept while the coordinator is away; of more the eldest end by their ttl."""


class Claims:
    """Releases what messages with the label `_unique` have claimed: as they start, or when they are settled for good.

    A coordinator that fails delays nothing: what cannot be released is tried again, and ends by its ttl at the latest.
    """

    def __init__(self, coordinator: Coordinator | None) -> None:
        self._coordinator = coordinator
        self._pending: list[tuple[str, str]] = []
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def started(self, message: TaskiqMessage) -> None:
        """A task begins to run."""
        if UNIQUE.name in message.labels:
            self._give_up(message, "started")

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Deliveries are done with; those that will come again keep their places."""
        for outcome in outcomes:
            message = outcome.message
            if message is not None and message.labels and UNIQUE.name in message.labels and _is_final(outcome):
                self._give_up(message, "finished")

    def _give_up(self, message: TaskiqMessage, now: Until) -> None:
        place = Place.read(str(message.labels[UNIQUE.name]))
        if place is None or self._coordinator is None or (place.until == "finished" and now == "started"):
            return
        self._pending.append((place.key, message.task_id))
        if len(self._pending) > _MOST:
            del self._pending[: _MOST // 10]
        self._arrived.set()

    def close(self) -> None:
        """`run` ends when all is released."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """Release until closed; sets `done` at the end."""
        try:
            if self._coordinator is not None:
                await self._release(self._coordinator)
        finally:
            self.done.set()

    async def _release(self, coordinator: Coordinator) -> None:
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
                backoff.over()
            except Exception as error:  # noqa: BLE001 - a driver may raise anything, and the claims end by themselves
                self._pending = [*batch, *self._pending]
                if self._closed:
                    logger.warning("%d places of unique tasks end by their ttl: %r", len(self._pending), error)
                    return
                await backoff.sleep("Places of unique tasks cannot be given up, trying again", error)


def _is_final(outcome: Outcome) -> bool:
    verdict = judge(outcome.ending).verdict
    left_to_its_lease = outcome.manual and not outcome.acked
    return verdict is Verdict.REJECT or (verdict is Verdict.ACK and not left_to_its_lease)
