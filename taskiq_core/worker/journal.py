"""Status transitions on their way into the record store; without a store this costs nothing."""

import logging

import anyio

from taskiq_core import clock
from taskiq_core.abc.records import RecordStore
from taskiq_core.delivery import Delivery
from taskiq_core.ids import process_id
from taskiq_core.labels import RETRIES
from taskiq_core.message import TaskiqMessage
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_MOST = 10_000
"""Transitions that are kept while the store is away; then the oldest are dropped."""

_STATUS = {
    Ending.RETURNED: TaskStatus.SUCCESS,
    Ending.NO_RESULT: TaskStatus.SUCCESS,
    Ending.RETRIED: TaskStatus.RETRYING,
    Ending.REQUEUED: TaskStatus.RETRYING,
    Ending.FAILED: TaskStatus.FAILED,
    Ending.FAILED_KEEP_COPY: TaskStatus.FAILED,
    Ending.HOOK_RAISED: TaskStatus.FAILED,
    Ending.CONDEMNED: TaskStatus.FAILED,
    Ending.REJECTED: TaskStatus.REJECTED,
    Ending.UNKNOWN_EVERYWHERE: TaskStatus.REJECTED,
    Ending.UNDECODABLE: TaskStatus.REJECTED,
    Ending.CANCELLED: TaskStatus.CANCELLED,
    Ending.EXPIRED: TaskStatus.CANCELLED,
    Ending.PARKED: TaskStatus.PENDING,
    Ending.NO_PROCESS: TaskStatus.PENDING,
    Ending.UNKNOWN_TASK: TaskStatus.PENDING,
    Ending.WORKER_STOPPING: TaskStatus.PENDING,
    Ending.NOT_STARTED: TaskStatus.PENDING,
    Ending.NOT_STORED: TaskStatus.PENDING,
}


class Journal:
    """Notes where tasks stand, in batches. A store that fails delays nothing and fails no task."""

    def __init__(self, records: RecordStore | None) -> None:
        self._records = records
        self._worker = process_id()
        self._pending: list[Transition] = []
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def started(self, delivery: Delivery, message: TaskiqMessage) -> None:
        """A task begins to run."""
        if self._records is not None:
            self._note(TaskStatus.RUNNING, delivery, message, None)

    def ended(self, outcome: Outcome) -> None:
        """A delivery has come to its end."""
        if self._records is not None and outcome.message is not None:
            status = _STATUS[outcome.ending]
            reason = None if status in (TaskStatus.SUCCESS, TaskStatus.PENDING) else outcome.reason
            self._note(status, outcome.delivery, outcome.message, reason)

    def _note(self, status: TaskStatus, delivery: Delivery, message: TaskiqMessage, error: str | None) -> None:
        attempt = 1 + (RETRIES.get(message.labels) or 0) if status is TaskStatus.RUNNING else None
        self._pending.append(
            Transition(message.task_id, status, clock.time(), message.task_name, delivery.queue, self._worker, attempt, error)
        )
        if len(self._pending) > _MOST:
            del self._pending[: _MOST // 10]
        self._arrived.set()

    def close(self) -> None:
        """`run` ends when everything is written."""
        self._closed = True
        self._arrived.set()

    async def run(self) -> None:
        """Write what is noted until closed; sets `done` at the end."""
        try:
            await self._write()
        finally:
            self.done.set()

    async def _write(self) -> None:
        backoff = Backoff(logger, "Status transitions are recorded again")
        while self._pending or not self._closed:
            if not self._pending:
                self._arrived = anyio.Event()
                await self._arrived.wait()
            batch, self._pending = self._pending, []
            if not batch or self._records is None:
                continue
            try:
                await self._records.record(batch)
                backoff.over()
            except Exception as error:  # noqa: BLE001 - records are for people: no task may suffer for them
                self._pending = [*batch, *self._pending][-_MOST:]
                if self._closed:
                    logger.warning("%d status transitions were not recorded: %r", len(self._pending), error)
                    return
                await backoff.sleep("Status transitions cannot be recorded, trying again", error)
