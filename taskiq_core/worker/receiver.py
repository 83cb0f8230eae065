"""The frame of the assembly line: intake, slots, and the order of stopping."""

import contextvars
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import anyio

from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.worker.admission import Admission
from taskiq_core.worker.announcements import Announcements
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.batches import Batches
from taskiq_core.worker.cancelling import Cancelling
from taskiq_core.worker.claims import Claims
from taskiq_core.worker.completion_queue import CompletionQueue, Settled
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.drain_check import DrainCheck
from taskiq_core.worker.early import Early
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.held_slots import HeldSlots
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.journal import Journal
from taskiq_core.worker.leases import Leases
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.quarantine import Quarantine
from taskiq_core.worker.recorder import Recorder, bury
from taskiq_core.worker.refusals import Refusals
from taskiq_core.worker.reports import Reports
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.station import Station
from taskiq_core.worker.stopping import within
from taskiq_core.worker.tally import Tally
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_DRAIN = 0.8
"""Seconds for results and verdicts to get out after the last task has ended."""
_STALE = 0.2
"""Seconds without a start after which messages are given back that wait behind long tasks."""


class Receiver:
    """Works through one subscription until told to stop."""

    def __init__(
        self,
        broker: AsyncBroker,
        subscription: Subscription,
        settings: WorkerSettings,
        recorder: Recorder,
        predecessors: Sequence[Path] = (),
    ) -> None:
        self._subscription = subscription
        self._settings = settings
        self._recorder = recorder
        self._predecessors = predecessors
        credit = self._credit = Credit(settings.concurrency, settings.prefetch)
        self._inbox = Inbox()
        self.threads = Threads()
        self._held_slots = HeldSlots(broker, subscription, self.threads)
        self._claims = Claims(broker.coordinator)
        announcements = Announcements(broker)
        self._settled: list[Settled] = [self._held_slots.settled, announcements.settled]
        self._completions = CompletionQueue(broker, subscription, credit, settings, self._settled, ending=self._claims.ending)
        self._leases = Leases(subscription, self._credit)
        self._journal = Journal(broker.records)
        execution = Execution(broker, settings, self.threads, self._completions.ack_now)
        self._quarantine = Quarantine(broker, settings, execution, self._completions.ack_now)
        self._admission = Admission(broker, self._held_slots, execution.failed, self._inbox.wake)
        self._early = Early(self._inbox, self._credit)
        reports = Reports(broker, self._completions, self._journal, announcements, self._claims)
        refusals = self._refusals = Refusals(execution, reports)
        slots = self._slots = list[Slot]()
        self._batches = Batches(broker, execution, self._inbox, self._credit, reports=reports, slots=slots, refusals=refusals)
        self._station = Station(self._inbox, execution, self._quarantine, self._admission, self._early, self._batches, reports)
        self._cancelling = Cancelling(broker, self._credit, self._station, self._slots, self._refusals)
        self._settled.append(self._cancelling.settled)
        self._tally = Tally()
        self._drain = DrainCheck(broker.admin, settings.queues)
        if settings.burst or settings.max_tasks is not None:
            self._settled.append(self._tally.settled)
        self._intake_scope, self._slots_scope = anyio.CancelScope(), anyio.CancelScope()
        self._stopping = False
        self.stopped_because: Literal["stopped", "burst", "max_tasks"] = "stopped"

    def stop(self, *, now: bool = False) -> None:
        """Take no more messages and let running tasks finish within the grace; `now` gives those back too."""
        self._stopping = True
        self._intake_scope.cancel()
        if now:
            self._slots_scope.cancel()

    async def run(self) -> None:
        """Receive and run until stopped. Cancelling stops at once: what was running is given back."""
        async with self._subscription, self._quarantine, anyio.create_task_group() as frame:
            work = (
                self._completions.run, self._journal.run, self._leases.run, self._cancelling.run,
                self._admission.run, self._held_slots.run, self._claims.run, self._batches.run,
                self._early.run, self._refusals.run,
            )  # fmt: skip
            rooms = [anyio.CancelScope(shield=True) for _ in work]
            for scope, run in zip(rooms, work, strict=True):
                frame.start_soon(within, scope, run)
            try:
                self._recorder.name(self._subscription.consumer)
                await bury(self._predecessors, self._subscription)
                await self._line()
            finally:
                refused = self._refusals.close()
                self._release([*self._inbox.close(), *self._early.close(), *self._batches.close(), *refused])
                self._claims.leave()
                self._completions.close()
                self._journal.close()
                with anyio.move_on_after(_DRAIN, shield=True) as late:
                    await self._completions.done.wait()
                    self._held_slots.close()
                    self._claims.close()
                    await self._journal.done.wait()
                    await self._held_slots.done.wait()
                    await self._claims.done.wait()
                for scope in rooms:
                    scope.cancel()
                if late.cancelled_caught and not (self._completions.done.is_set() and self._journal.done.is_set()):
                    logger.error("Some results and verdicts could not be sent in time; their tasks will run again.")

    async def _line(self) -> None:
        base = contextvars.copy_context()
        async with anyio.create_task_group() as slots:
            self._slots_scope = slots.cancel_scope
            self._slots += [Slot(n, self._recorder, base, self._inbox.wake) for n in range(self._settings.concurrency)]
            for slot in self._slots:
                slots.start_soon(self._station.work, slot)
            async with anyio.create_task_group() as minding:
                if self._credit.adapts:
                    minding.start_soon(self._mind_inbox)
                await self._intake()
                self._subscription.stop_receiving()
                minding.cancel_scope.cancel()
            self._start_grace()

    def _start_grace(self) -> None:
        self._release([*self._inbox.close(), *self._early.close(), *self._batches.close()])
        running = len(self._credit.held)
        logger.info("Stopping; %d tasks are in hand and get %g s.", running, self._settings.grace)
        self._slots_scope.deadline = anyio.current_time() + self._settings.grace

    async def _intake(self) -> None:
        backoff = Backoff(logger, "Messages are received again")
        while not self._stopping:
            with anyio.CancelScope() as self._intake_scope:
                limit = await self._room()
                if limit == 0:
                    return
                try:
                    deliveries = await self._receive(limit)
                except Exception as error:  # noqa: BLE001 - for ever: the broker will be back, or an operator will stop us
                    await backoff.sleep("Messages cannot be received, trying again", error)
                    continue
                backoff.over()
                await self._accept(deliveries)

    async def _room(self) -> int:
        """How many may be received; 0 if there will be no more."""
        if self._settings.max_tasks is None:
            return await self._credit.wait()
        while (left := self._settings.max_tasks - self._tally.ended - len(self._credit.held)) < 1:
            if not self._credit.held:
                self._end("max_tasks")
                return 0
            self._batches.finish()
            await self._credit.changed()
        return min(left, await self._credit.wait())

    async def _mind_inbox(self) -> None:
        # Tasks may have become longer than the prefetch was made for: what then waits here could run elsewhere.
        while True:
            await self._inbox.wait_filled()
            next_one = self._inbox.first
            await anyio.sleep(_STALE)
            if next_one is not None and self._inbox.first is next_one:
                self._credit.slow_down()
                self._intake_scope.cancel()  # its limit was made for short tasks
                self._release(self._inbox.take_all())

    async def _receive(self, limit: int) -> Sequence[Delivery]:
        if not self._settings.burst:
            return await self._subscription.receive(limit)
        with anyio.move_on_after(self._drain.patience):
            deliveries = await self._subscription.receive(limit)
            if deliveries:
                self._drain.came()
            return deliveries
        self._batches.hurry()  # nothing comes that they could wait for
        if not self._credit.held and not self._tally.waits and await self._drain.is_empty():
            self._end("burst")
        return ()

    async def _accept(self, deliveries: Sequence[Delivery]) -> None:
        self._credit.take(deliveries)
        self._inbox.put(await self._cancelling.sift(deliveries) if self._cancelling.asks_first else deliveries)
        self._cancelling.arrived()

    def _end(self, why: Literal["burst", "max_tasks"]) -> None:
        self._stopping = True
        self.stopped_because = why

    def _release(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._completions.put(Outcome(delivery, Ending.NOT_STARTED))
