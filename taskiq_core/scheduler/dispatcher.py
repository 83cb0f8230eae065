"""Makes fires: each claimed, sent, noted as sent and told to its source."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import uuid4

import anyio

from taskiq_core.abc.coordinator import ClaimStore
from taskiq_core.broker import AsyncBroker
from taskiq_core.deduplication import send_guarded
from taskiq_core.exceptions import ScheduledTaskCancelledError
from taskiq_core.outage import Outage
from taskiq_core.scheduler.clock import Clock
from taskiq_core.scheduler.fire import GRACE, Fire
from taskiq_core.scheduler.ledger import FireLedger
from taskiq_core.utils import maybe_awaitable

logger = logging.getLogger("taskiq.scheduler")

_CONCURRENCY: Final = 100
"""Most fires in work at once; those that wait for another attempt do not count."""
_PAUSES: Final = (0.5, 10.0)
"""Seconds before the second attempt, doubled after each, and their limit."""
_AFTER_EXPIRY: Final = 1.0
"""Seconds after which another's claim has ended for certain, if it was not renewed."""


class Outcome(Enum):
    DONE = "sent"
    SKIPPED = "cancelled by its source"
    TAKEN = "another scheduler's"
    FAILED = "not sent"


class Dispatcher:
    """A short claim before the send keeps the others off. If this scheduler dies, it ends, and another one stands in.

    After the send the claim is made long, so that nobody makes the fire again. Where the source has to forget the schedule, it
    is noted instead that the fire was sent, and the claim made long when the source knows: whoever stands in meanwhile has
    only the source to tell.
    """

    def __init__(
        self, broker: AsyncBroker, coordinator: ClaimStore | None, clock: Clock, claim_ttl: float, stopping: anyio.Event
    ) -> None:
        self._broker = broker
        self._ledger = FireLedger(coordinator)
        self._clock = clock
        self._claim_ttl = claim_ttl
        self._stopping = stopping
        self._limiter = anyio.Semaphore(_CONCURRENCY)
        self._outage = Outage(logger, "All schedules fire again")
        self._failing: set[str] = set()

    async def make(self, fire: Fire) -> Outcome:
        """Bring a fire to its end: repeats what fails until the fire is older than its grace.

        Cancelling is safe: what was claimed and not sent is another scheduler's after `claim_ttl` seconds.
        """
        # An owner per fire and not per scheduler: a scheduler that meets one of its own old fires again must not win it.
        owner = uuid4().hex
        outcome = await self._persist(fire, "be sent", lambda: self._send(fire, owner))
        if outcome in (Outcome.DONE, Outcome.SKIPPED):
            await self._persist(fire, "be marked as done", lambda: self._mark(fire, owner, outcome))
        if outcome is Outcome.DONE:
            outcome = await self._persist(fire, "be told to its source", lambda: self._tell(fire))
            if outcome is Outcome.DONE and fire.leaves_the_source:
                await self._persist(fire, "be settled", lambda: self._settle(fire, owner))
        return outcome

    async def _persist(self, fire: Fire, what: str, step: Callable[[], Awaitable[Outcome]]) -> Outcome:
        started = self._clock.now()
        late = fire.due < started - GRACE
        deadline = started + GRACE if late else fire.due + GRACE
        pause, longest = _PAUSES
        trouble: Exception | None = None
        while True:
            try:
                # Beyond its ttl a claim may be another's: no attempt is worth more time than that.
                async with self._limiter:
                    with anyio.fail_after(self._claim_ttl):
                        outcome = await step()
                wait, trouble = self._claim_ttl + _AFTER_EXPIRY, None
            except Exception as error:  # noqa: BLE001 - brokers and sources raise what their drivers raise
                outcome, wait, pause, trouble = Outcome.FAILED, pause, min(2 * pause, longest), error
            self._tell_trouble(fire, what, trouble)
            if outcome in (Outcome.DONE, Outcome.SKIPPED) or (outcome is Outcome.TAKEN and late and not fire.one_off):
                return outcome
            again: datetime = self._clock.now() + timedelta(seconds=wait)
            if again >= deadline or self._stopping.is_set():
                if trouble is not None:
                    self._failing.discard(fire.id)
                    logger.error("%s could not %s and is given up: %s: %s", fire, what, type(trouble).__name__, trouble)
                return outcome
            await self._clock.sleep_until(again, self._stopping)
            if self._stopping.is_set():
                return outcome

    def _tell_trouble(self, fire: Fire, what: str, trouble: Exception | None) -> None:
        """An outage lasts while any fire fails: a schedule that can never fire makes none of each of its attempts."""
        if trouble is not None:
            self._failing.add(fire.id)
            self._outage.say(f"{fire} could not {what}, trying again", trouble)
            return
        self._failing.discard(fire.id)
        if not self._failing:
            self._outage.over()

    async def _send(self, fire: Fire, owner: str) -> Outcome:
        if not await self._ledger.claim(fire, owner, timedelta(seconds=self._claim_ttl)):
            return Outcome.TAKEN
        if fire.leaves_the_source and await self._ledger.was_sent(fire):
            return Outcome.DONE
        try:
            await maybe_awaitable(fire.source.pre_send(fire.schedule))
        except ScheduledTaskCancelledError:
            return Outcome.SKIPPED
        name = fire.schedule.task_name
        task = self._broker.find_task(name)
        sent = await send_guarded(self._broker, None if task is None else task.guard, fire.message(self._clock.now()))
        if sent.outcome == "duplicate":
            logger.info("Schedule %s: task %s for %s is %s, sent before",
                        fire.schedule.schedule_id, name, fire.due, sent.task_id)  # fmt: skip
        else:
            logger.info("Schedule %s: sent task %s for %s", fire.schedule.schedule_id, name, fire.due)
        return Outcome.DONE

    async def _mark(self, fire: Fire, owner: str, outcome: Outcome) -> Outcome:
        if outcome is Outcome.DONE and fire.leaves_the_source:
            await self._ledger.note_sent(fire)
        else:
            await self._ledger.claim(fire, owner, fire.remembered_for)
        return Outcome.DONE

    async def _tell(self, fire: Fire) -> Outcome:
        await maybe_awaitable(fire.source.post_send(fire.schedule))
        return Outcome.DONE

    async def _settle(self, fire: Fire, owner: str) -> Outcome:
        await self._ledger.settle(fire, owner)
        return Outcome.DONE
