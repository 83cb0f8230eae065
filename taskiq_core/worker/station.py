"""What a slot does: takes one message after the other and sees each to its outcome."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core import clock
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.admission import Admission
from taskiq_core.worker.batches import Batches
from taskiq_core.worker.early import Early
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.isolation import drive
from taskiq_core.worker.meeting import Gathered
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.quarantine import Quarantine
from taskiq_core.worker.reports import Reports
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.stopping import is_stopped
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_TURN = 0.005
"""Seconds that a slot may go on without letting others run."""


@dataclass(slots=True, eq=False)
class Station:
    """The rooms that a message passes between inbox and completion queue, and the way through them."""

    inbox: Inbox
    execution: Execution
    quarantine: Quarantine
    admission: Admission
    early: Early
    batches: Batches
    reports: Reports
    _plain: set[str] = field(default_factory=set[str])
    """Names of tasks without limits, batches, processes of their own: their messages pass no room that has to do with these."""

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
            if isinstance(delivery, Gathered):
                await self.batches.run_together(delivery, slot)
                continue
            try:
                outcome = await self._run(delivery, slot)
            except BaseException as error:
                if isinstance(error, anyio.get_cancelled_exc_class()) and is_stopped():
                    self.reports.given_back(Outcome(delivery, Ending.WORKER_STOPPING))
                    raise
                outcome = self._last_resort(delivery, error)
            if outcome is not None:
                self.reports.ended(outcome)
            if slot.told is not None:
                return True
            if clock.monotonic() - turn > _TURN:
                self.inbox.wake()
                await anyio.lowlevel.checkpoint()
                turn = clock.monotonic()
        return False

    async def _run(self, delivery: Delivery, slot: Slot) -> Outcome | None:
        message = self.execution.load(delivery)
        if isinstance(message, Outcome):
            return message
        slot.message = message
        try:
            if message.task_name in self._plain and not (delivery.accused or delivery.deaths):
                self.reports.started(delivery, message)
                if message.labels:
                    await self.reports.starting(message)
                return await self._execute(delivery, message, slot)
            return await self._pass_rooms(delivery, message, slot)
        except BaseException as error:
            if (why := slot.close()) is not None:
                return await self.execution.refused(delivery, message, why)
            if not isinstance(error, Exception):
                raise
            logger.exception("Task %s (%s) could not be run", message.task_name, message.task_id)
            return await self.execution.failed(delivery, message, error)
        finally:
            slot.end()

    async def _pass_rooms(self, delivery: Delivery, message: TaskiqMessage, slot: Slot) -> Outcome | None:
        limits = self.admission.limits_of(message)
        if limits is not None:
            parked = await self.admission.ask(delivery, message, limits)
            if parked is not None:
                parked = await self._unless_cancelled(parked, message, slot)
                return None if self.early.keeps(parked) else parked
        alone = self.quarantine.wants(delivery, message)
        batch = self.batches.of(message)
        if batch is not None and not alone:
            slot.check()
            return self.batches.add(delivery, message, batch, slot)
        self.reports.started(delivery, message)
        await self.reports.starting(message)
        if alone:
            self.inbox.wake()
            outcome = await self.quarantine.run(delivery, message)
            if outcome is not None:
                return await self._unless_cancelled(outcome, message, slot)
        elif limits is None and self.execution.knows(message.task_name):
            self._plain.add(message.task_name)
        slot.check()
        return await self._execute(delivery, message, slot)

    def _execute(self, delivery: Delivery, message: TaskiqMessage, slot: Slot) -> Awaitable[Outcome]:
        slot.begin(message.task_id)
        work = self.execution.run(delivery, message, slot)
        return drive(work, slot.context(), slot.suspended, slot.resumed)

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
