"""Tasks that somebody has cancelled: their marks are looked for while the worker holds anything, and they are ended."""

import itertools
import logging
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress

import anyio

from taskiq_core.abc.coordinator import Coordinator
from taskiq_core.broker import AsyncBroker
from taskiq_core.cancel_marks import CANCELS, mark_key, reasons_in
from taskiq_core.capability import Capability
from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.outage import Outage
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.refusals import Marked, Refusals
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.station import Station
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_PAUSE = 0.5
"""Seconds between two looks."""
_PATIENCE = 1.0
"""Seconds for one question; messages that may be marked wait for it."""
_CROSSING = 60.0
"""Seconds after which what was sent or received while somebody cancelled has come to rest."""

_Loaded = tuple[Delivery, TaskiqMessage]


class Cancelling:
    """Asks for the token, and for the marks of what is held when the token has changed; without a coordinator nothing.

    When nobody has looked for half a second, and for a minute after the token has changed, messages are asked about before
    they may start: a cancel may have crossed them. Later, while there is a token, only those are that some worker had before:
    cancelling takes out of the queue what waits, but not what is held then and given back. Where it cannot take out anything,
    all are asked about. When a question has failed, no message waits for another one until a look succeeds.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        credit: Credit,
        station: Station,
        slots: Sequence[Slot],
        refusals: Refusals,
    ) -> None:
        self._coordinator = broker.coordinator
        self._loads = broker.formatter.loads
        self._credit = credit
        self._station = station
        self._slots = slots
        self._discards = Capability.DISCARD in broker.capabilities
        self._has_marks = False
        self._seen: bytes | None = None
        self._settles_at = -math.inf
        self._refusals = refusals
        self._obeyed: set[str] = set()
        self._served: list[str] = []
        self._next_look = -math.inf
        self._closed = False
        self._idle = self._coordinator is not None
        self._one_at_a_time = anyio.Lock()
        self._news = anyio.Event()
        self._outage = Outage(logger, "Cancellations are noticed again")

    @property
    def asks_first(self) -> bool:
        """Whether messages are to be asked about before they may start: there are marks, or nobody has looked lately."""
        if self._closed:
            return False
        return self._has_marks or (self._idle and anyio.current_time() >= self._next_look)

    def arrived(self) -> None:
        """Something is held now."""
        if self._idle:
            self._news.set()

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """These are settled: marks that were obeyed have served, and must not meet a later task of that id."""
        if not self._obeyed:
            return
        for outcome in outcomes:
            if outcome.message is None or outcome.message.task_id not in self._obeyed:
                continue
            self._obeyed.discard(outcome.message.task_id)
            if outcome.ending is Ending.CANCELLED:
                self._served.append(outcome.message.task_id)
                self._news.set()

    async def run(self) -> None:
        """Look every half second while anything is held, until cancelled."""
        if self._coordinator is None:
            return
        while True:
            try:
                await self._ask(self._coordinator)
            except Exception as error:  # noqa: BLE001 - a driver may raise anything
                self._close(error)
                self._next_look = anyio.current_time() + _PAUSE
            self._idle = not self._credit.held and not self._served
            pause = math.inf if self._idle else max(0.0, self._next_look - anyio.current_time())
            with anyio.move_on_after(pause):
                await self._news.wait()
            self._news = anyio.Event()

    async def _ask(self, coordinator: Coordinator) -> None:
        if self._served:
            with anyio.fail_after(_PATIENCE):
                await self._forget(coordinator)
        if self._credit.held and anyio.current_time() >= self._next_look:
            self._next_look = anyio.current_time() + _PAUSE
            self._idle = False  # what comes while this look is under way is seen by it
            with anyio.fail_after(_PATIENCE):
                await self._look(coordinator)
            self._closed = False
            self._outage.over()

    def _close(self, error: Exception) -> None:
        self._outage.say("Cancellations cannot be noticed, trying again", error)
        self._closed, self._seen = True, None  # the next look asks about all

    async def _forget(self, coordinator: Coordinator) -> None:
        served = list(self._served)
        await coordinator.put({mark_key(task_id): None for task_id in served})
        del self._served[: len(served)]

    async def _look(self, coordinator: Coordinator) -> None:
        async with self._one_at_a_time:
            token = (await coordinator.get([CANCELS])).get(CANCELS)
            self._has_marks = token is not None
            if token is None or token == self._seen:
                return
            self._settles_at = anyio.current_time() + _CROSSING  # before any wait: what arrives from now on is asked about
            waiting = self._loaded(itertools.chain(self._station.inbox, self._station.early))
            running = [slot.message.task_id for slot in self._slots if slot.message is not None]
            reasons = await self._reasons(coordinator, [*running, *(message.task_id for _, message in waiting)])
            self._seen = token
        self._tell(reasons, waiting)

    def _tell(self, reasons: dict[str, str], waiting: list[_Loaded]) -> None:
        if not reasons:
            return
        for slot in self._slots:
            if slot.message is not None and (reason := reasons.get(slot.message.task_id)) is not None:
                self._obeyed.add(slot.message.task_id)
                slot.cancel(reason)
        chosen = {delivery: (delivery, message, reasons[message.task_id]) for delivery, message in waiting
                  if message.task_id in reasons}  # fmt: skip
        for room in (self._station.inbox, self._station.early):
            self._put_aside(chosen[delivery] for delivery in room.remove(chosen))

    async def sift(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Those that may start. Answers also while the worker is being stopped."""
        coordinator = self._coordinator
        if coordinator is None:
            return deliveries
        loaded = self._loaded(self._doubtful(deliveries))
        if not loaded:
            return deliveries
        reasons: dict[str, str] = {}
        try:
            with anyio.fail_after(_PATIENCE, shield=True):
                async with self._one_at_a_time:
                    reasons = await self._reasons(coordinator, [message.task_id for _, message in loaded])
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._close(error)
        marked = {delivery: (delivery, message, reasons[message.task_id]) for delivery, message in loaded
                  if message.task_id in reasons}  # fmt: skip
        self._put_aside(marked.values())
        return [delivery for delivery in deliveries if delivery not in marked] if marked else deliveries

    def _doubtful(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        now = anyio.current_time()
        if not self._discards or now < self._settles_at or (self._idle and now >= self._next_look):
            return deliveries
        return [delivery for delivery in deliveries if delivery.attempt != 1]

    async def _reasons(self, coordinator: Coordinator, task_ids: Sequence[str]) -> dict[str, str]:
        return reasons_in(await coordinator.get([mark_key(task_id) for task_id in task_ids]), task_ids) if task_ids else {}

    def _loaded(self, deliveries: Iterable[Delivery]) -> list[_Loaded]:
        loaded: list[_Loaded] = []
        for delivery in deliveries:
            with suppress(Exception):  # what cannot be decoded has no id, and says so when it is its turn
                loaded.append((delivery, self._loads(delivery.body)))
        return loaded

    def _put_aside(self, marked: Iterable[Marked]) -> None:
        marked = list(marked)
        self._obeyed.update(message.task_id for _, message, _ in marked)
        self._refusals.put(marked)
