"""The slots that this worker's messages hold: renewed while they do, given up after, and who waits for them is woken."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio

from taskiq_core import clock
from taskiq_core.abc.coordinator import AdmissionRequest, SlotLimit
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_LEASE
from taskiq_core.delivery import Delivery
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.outcome import Outcome

logger = logging.getLogger("taskiq.worker")

_PATIENCE = 5.0
"""Seconds for one call."""


@dataclass(slots=True, eq=False)
class Hold:
    """What one delivery has asked for; whether it got it is not always known."""

    request: AdmissionRequest
    asking: bool = False
    """True while the answer is not known: until then nothing is given up."""
    granted: bool = False
    lost: bool = False


class HeldSlots:
    """A room of the worker. One call renews, every third of `ttl` seconds; one call gives up whatever has ended meanwhile.

    Every message that has asked is given up after its settle, also one that got nothing: it is parked by then, and the same
    call tells whether a slot is free that nobody would wake it for.
    """

    def __init__(self, broker: AsyncBroker, subscription: Subscription) -> None:
        self._coordinator = broker.coordinator
        self._subscription = subscription
        self.parks = Capability.PARK in broker.capabilities
        """Whether messages can wait until somebody wakes them."""
        self.ttl = subscription.lease or DEFAULT_LEASE
        """Seconds that a slot is held for."""
        self._held: dict[Delivery, Hold] = {}
        self._ended: list[Hold] = []
        self._free: dict[str, int] = {}
        """Free slots for which nobody has been woken yet."""
        self._renew_at = clock.monotonic() + self.ttl / 3
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def enter(self, delivery: Delivery, hold: Hold) -> None:
        """A message asks for slots."""
        self._held[delivery] = hold

    def look(self, hold: Hold) -> None:
        """See whether slots of the kind that it holds are free, and wake who waits for them: their holder may have died."""
        self._end(Hold(replace(hold.request, holder=f"{hold.request.holder}?")))

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These have ended."""
        if not self._held:
            return
        for outcome in outcomes:
            hold = self._held.pop(outcome.delivery, None)
            if hold is not None:
                self._end(hold)

    def _end(self, hold: Hold) -> None:
        self._ended.append(hold)
        self.wake()

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._arrived.set()

    def close(self) -> None:
        """`run` ends when everything has been given up."""
        self._closed = True
        self.wake()

    async def run(self) -> None:
        """Renew and give up until closed; sets `done` at the end."""
        try:
            await self._run()
        finally:
            self.done.set()

    async def _run(self) -> None:
        backoff = Backoff(logger, "Slots of limits are renewed and given up again")
        while self._ended or self._free or not self._closed:
            with anyio.move_on_after(max(0.0, self._renew_at - clock.monotonic())):
                await self._arrived.wait()
            self._arrived = anyio.Event()
            try:
                with anyio.fail_after(_PATIENCE):
                    await self._renew()
                    await self._give_up()
                    await self._unpark()
                backoff.over()
            except Exception as error:  # noqa: BLE001 - tried again; what is never given up ends with its time
                await backoff.sleep("Slots of limits cannot be renewed or given up, trying again", error)
                self.wake()

    async def _renew(self) -> None:
        if clock.monotonic() < self._renew_at:
            return
        holds = [hold for hold in self._held.values() if hold.granted]
        if holds and self._coordinator is not None:
            answers = await self._coordinator.admit([replace(hold.request, rates=()) for hold in holds])
            lost = [hold for hold, answer in zip(holds, answers, strict=True) if not answer.granted and not hold.lost]
            for hold in lost:
                hold.lost = True
            if lost:
                logger.error("%d running tasks have lost their slots of a limit: they were not renewed in time.", len(lost))
        self._renew_at = clock.monotonic() + self.ttl / 3

    async def _give_up(self) -> None:
        ended = [hold for hold in self._ended if not hold.asking]
        places: list[tuple[str, SlotLimit]] = [(hold.request.holder, slot) for hold in ended for slot in hold.request.slots]
        if not places or self._coordinator is None:
            return
        counts = await self._coordinator.leave(places)
        self._ended = [hold for hold in self._ended if hold not in ended]
        if self.parks:
            self._free.update({slot.key: free for (_, slot), free in zip(places, counts, strict=True)})

    async def _unpark(self) -> None:
        free = {key: count for key, count in self._free.items() if count > 0}
        if free:
            await self._subscription.unpark(free)
        self._free = {}
