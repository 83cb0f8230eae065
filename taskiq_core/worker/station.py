"""What a slot does: takes one message after the other and sees each to its outcome."""

import logging
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core import clock
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.admission import Admission
from taskiq_core.worker.announcements import Announcements
from taskiq_core.worker.claims import Claims
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.isolation import drive
from taskiq_core.worker.journal import Journal
from taskiq_core.worker.outbox import Outbox
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.quarantine import Quarantine
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.stopping import is_stopped
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_TURN = 0.005
"""Seconds that a slot may go on without letting others run."""


@dataclass(slots=True, eq=False)
class Station:
    """The rooms that a message passes between inbox and outbox, and the way through them."""

    inbox: Inbox
    outbox: Outbox
    journal: Journal
    execution: Execution
    quarantine: Quarantine
    admission: Admission
    announcements: Announcements
    claims: Claims

    def end_with(self, outcome: Outcome) -> None:
        """Hand over what became of a message."""
        self.journal.ended(outcome)
        self.outbox.put(outcome)

    async def work(self, slot: Slot) -> None:
        """Take messages from the inbox and see each to its outcome, until the inbox is closed."""
        goes_on = True
        while goes_on:
            with slot.renew():
                goes_on = await self._work_until_cancelled(slot)

    async def _work_until_cancelled(self, slot: Slot) -> bool:
        """Run tasks until one is cancelled, with its outcome handed over; False if there will be no more tasks."""
        turn = clock.monotonic()
        while (delivery := await self.inbox.take()) is not None:
            try:
                outcome = await self._run(delivery, slot)
            except BaseException as error:
                if isinstance(error, anyio.get_cancelled_exc_class()) and is_stopped():
                    self.outbox.put(Outcome(delivery, Ending.WORKER_STOPPING))
                    raise
                outcome = self._last_resort(delivery, error)
            self.end_with(outcome)
            if slot.told is not None:
                return True
            if clock.monotonic() - turn > _TURN:
                self.inbox.wake()
                await anyio.lowlevel.checkpoint()
                turn = clock.monotonic()
        return False

    async def _run(self, delivery: Delivery, slot: Slot) -> Outcome:
        message = self.execution.load(delivery)
        if isinstance(message, Outcome):
            return message
        slot.message = message
        try:
            if (limits := self.admission.limits_of(message)) is not None:
                parked = await self.admission.ask(delivery, message, limits)
                if parked is not None:
                    return await self._unless_cancelled(parked, message, slot)
            self.journal.started(delivery, message)
            self.announcements.started(delivery, message)
            self.claims.started(message)
            if self.quarantine.wants(delivery, message):
                self.inbox.wake()
                outcome = await self.quarantine.run(delivery, message)
                if outcome is not None:
                    return await self._unless_cancelled(outcome, message, slot)
            if slot.told is not None:
                slot.obey()
            slot.begin(message.task_id)
            work = self.execution.run(delivery, message, slot)
            return await drive(work, slot.context(), slot.suspended, slot.resumed)
        except BaseException as error:
            if (why := slot.close()) is not None:
                return await self.execution.refused(delivery, message, why)
            if not isinstance(error, Exception):
                raise
            logger.exception("Task %s (%s) could not be run", message.task_name, message.task_id)
            return await self.execution.failed(delivery, message, error)
        finally:
            slot.end()

    async def _unless_cancelled(self, outcome: Outcome, message: TaskiqMessage, slot: Slot) -> Outcome:
        why = slot.close()
        return outcome if why is None else await self.execution.refused(outcome.delivery, message, why)

    def _last_resort(self, delivery: Delivery, error: BaseException) -> Outcome:
        # The law that no task ends its worker: whatever got past every other handler becomes an outcome here.
        logger.critical("A message could not be handled, its task is failed: %s", describe(error))
        message = self.execution.load(delivery)
        if isinstance(message, Outcome):
            return message
        result = TaskiqResult[Any](is_err=True, return_value=None, error=RuntimeError(describe(error)))
        return Outcome(delivery, Ending.FAILED, message, result, reason=describe(error))
