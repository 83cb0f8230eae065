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
from taskiq_core.worker.singling import ask_for_all
from taskiq_core.worker.threads import Threads

logger = logging.getLogger("taskiq.worker")

_PATIENCE = 5.0
"""Seconds for one call."""
_PORTION = 500
"""Slots that are given up by one call."""
_LOOK = 0.2
"""Seconds between two looks at threads that run on."""


@dataclass(slots=True, eq=False)
class Hold:
    """What one delivery has asked for; whether it got it is not always known."""

    request: AdmissionRequest
    task_id: str
    asked: bool = False
    asking: bool = False
    """True while the answer is not known: until then nothing is given up."""
    granted: bool = False
    lost: bool = False


class HeldSlots:
    """A room of the worker. One call renews, every third of `ttl` seconds; one call gives up whatever has ended meanwhile.

    Every message that has asked is given up after its settle, also one that got nothing: it is parked by then, and the same
    call tells whether a slot is free that nobody would wake it for. What cannot be given up ends with its `ttl`. A task whose
    thread runs on keeps its slots until that ends.
    """

    def __init__(self, broker: AsyncBroker, subscription: Subscription, threads: Threads) -> None:
        self._coordinator = broker.coordinator
        self._subscription = subscription
        self._threads = threads
        self.parks = Capability.PARK in broker.capabilities
        """Whether messages can wait until somebody wakes them."""
        self.ttl = subscription.lease or DEFAULT_LEASE
        """Seconds that a slot is held for."""
        self._held: dict[Delivery, Hold] = {}
        self._run_on: list[Hold] = []
        """Held by threads that go on although their tasks have ended."""
        self._ended: dict[Hold, float] = {}
        """With the time when nothing is left of it."""
        self._free: dict[str, int] = {}
        """Free slots for which nobody has been woken yet."""
        self._renew_at = clock.monotonic() + self.ttl / 3
        self._calls = anyio.Lock()
        self._arrived = anyio.Event()
        self._closed = False
        self.done = anyio.Event()

    def enter(self, delivery: Delivery, hold: Hold) -> None:
        """A message asks for slots."""
        self._held[delivery] = hold

    def look(self, hold: Hold) -> None:
        """See whether slots of the kind that it holds are free, and wake who waits for them: their holder may have died."""
        self._end(Hold(replace(hold.request, holder=f"{hold.request.holder}?"), hold.task_id))

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These have ended."""
        if not self._held:
            return
        for outcome in outcomes:
            hold = self._held.pop(outcome.delivery, None)
            if hold is None or not hold.asked:
                continue
            if hold.granted and self._threads.run_on(hold.task_id):
                self._run_on.append(hold)
                self.wake()
            else:
                self._end(hold)

    def _end(self, hold: Hold) -> None:
        self._ended[hold] = clock.monotonic() + self.ttl + _PATIENCE
        self.wake()

    def wake(self) -> None:
        """Look whether there is something to do."""
        self._arrived.set()

    def close(self) -> None:
        """`run` ends when everything has been given up but what threads hold that run on."""
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
            pause = max(0.0, self._renew_at - clock.monotonic())
            with anyio.move_on_after(min(pause, _LOOK) if self._run_on else pause):
                await self._arrived.wait()
            self._arrived = anyio.Event()
            try:
                await self.renew()
                async with self._calls:
                    await self._give_up()
                    await self._unpark()
                backoff.over()
            except Exception as error:  # noqa: BLE001 - tried again; what is never given up ends with its time
                await backoff.sleep("Slots of limits cannot be renewed or given up, trying again", error)
                self.wake()

    async def renew(self) -> None:
        """Renew if it is time to.

        :raises Exception: if it is, and nobody answers.
        """
        if clock.monotonic() < self._renew_at:
            return
        async with self._calls:  # what is given up meanwhile would be taken again
            holds = [hold for hold in (*self._held.values(), *self._run_on) if hold.granted]
            if holds and self._coordinator is not None:
                with anyio.fail_after(_PATIENCE):
                    answers = await self._coordinator.admit([replace(hold.request, rates=()) for hold in holds])
                lost = sum(not answer.granted and not hold.lost for hold, answer in zip(holds, answers, strict=True))
                for hold, answer in zip(holds, answers, strict=True):
                    hold.lost = not answer.granted
                if lost:
                    logger.error("%d running tasks have lost their slots of a limit: they were not renewed in time.", lost)
            self._renew_at = clock.monotonic() + self.ttl / 3

    async def _give_up(self) -> None:
        for hold in [hold for hold in self._run_on if not self._threads.run_on(hold.task_id)]:
            self._run_on.remove(hold)
            self._end(hold)
        now = clock.monotonic()
        self._ended = {hold: end for hold, end in self._ended.items() if end > now}
        ended = [hold for hold in self._ended if not hold.asking]
        for first in range(0, len(ended), _PORTION):
            portion = ended[first : first + _PORTION]
            await self._leave([(hold.request.holder, slot) for hold in portion for slot in hold.request.slots])
            for hold in portion:
                del self._ended[hold]

    async def _leave(self, places: list[tuple[str, SlotLimit]]) -> None:
        if not places or self._coordinator is None:
            return
        answers = await ask_for_all(places, self._call_leave, self._probe)
        for (holder, slot), answer in zip(places, answers, strict=True):
            if isinstance(answer, Exception):
                logger.error("The slot of %r ends by its time, it cannot be given up: %r", holder, answer)
            elif self.parks:
                self._free[slot.key] = answer

    async def _call_leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        assert self._coordinator is not None
        with anyio.fail_after(_PATIENCE):
            return await self._coordinator.leave(places)

    async def _probe(self) -> None:
        await self._call_leave([("?", SlotLimit("?", 1))])

    async def _unpark(self) -> None:
        free = {key: count for key, count in self._free.items() if count > 0}
        if free:
            with anyio.fail_after(_PATIENCE):
                await self._subscription.unpark(free)
        self._free = {}
