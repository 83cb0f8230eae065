"""Who asks before it starts: messages of tasks with limits."""

import itertools
import logging
import math
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel

from taskiq_core import clock
from taskiq_core.abc.coordinator import Admission as Answer
from taskiq_core.abc.coordinator import AdmissionRequest, SlotLimit
from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.labels import BOOKED, EXPIRES_AT, WAITS
from taskiq_core.limits import waiting_for_rates
from taskiq_core.message import TaskiqMessage
from taskiq_core.option_check import check_options
from taskiq_core.outage import Outage
from taskiq_core.worker.early import LEAD
from taskiq_core.worker.held_slots import HeldSlots, Hold
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.singling import ask_for_all
from taskiq_core.worker.task_limits import TaskLimits
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

Failed = Callable[[Delivery, TaskiqMessage, BaseException], Awaitable[Outcome]]

_PATIENCE = 3.0
"""Seconds for one answer."""
_FIRST, _MOST = 1.0, 15.0
"""Seconds that messages are put off while nobody answers."""
_AFTER = 0.01
"""Seconds after its expiry at which a message that cannot start before comes back, to end."""
_OTHERS = 3.0
"""Seconds in which workers renew what they hold, after an outage in which it may have ended."""
_LONGEST_WAIT = 30.0
"""Seconds between two tries for a slot, on brokers that cannot park."""


@dataclass(slots=True, eq=False)
class _Ask:
    hold: Hold
    answer: Answer | Exception | None = None
    """An error that is its own; None: nobody could be asked."""
    answered: anyio.Event = field(default_factory=anyio.Event)


class Admission:
    """A room of the worker. Slots that ask while a call is under way, or in the same moment, share the next one.

    What may not start is put off by a `PARKED` outcome and so holds no slot of the worker. While the shared state cannot be
    reached nothing starts that has a limit; and after that what runs is renewed before anything starts.
    """

    def __init__(self, broker: AsyncBroker, slots: HeldSlots, failed: Failed, wake: Callable[[], None]) -> None:
        self._broker = broker
        self._slots = slots
        self._failed = failed
        self._wake = wake
        self._tag = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self._known: dict[str, TaskLimits | None] = {}
        self._asks: list[_Ask] = []
        self._arrived = anyio.Event()
        self._outage = Outage(logger, "Limits can be asked for again")
        self._pause = 0.0
        self._closed_until = 0.0

    def limits_of(self, message: TaskiqMessage) -> TaskLimits | None:
        """What `ask` needs; None for a task without limits, and for one that is not known here.

        :raises ConfigurationError: for limits that this broker cannot keep.
        """
        try:
            return self._known[message.task_name]
        except KeyError:
            return self._compile(message.task_name)

    def _compile(self, task_name: str) -> TaskLimits | None:
        task = self._broker.find_task(task_name)
        if task is None:
            return None
        if task.options.limits:
            check_options(self._broker, [task])
        found = self._known[task_name] = TaskLimits(task) if task.options.limits else None
        return found

    async def ask(self, delivery: Delivery, message: TaskiqMessage, limits: TaskLimits) -> Outcome | None:
        """None if it may start; else what becomes of it. Cancelling is safe: what it may have got is given up when its
        delivery is settled.
        """
        try:
            expires = EXPIRES_AT.get(message.labels)
            patience = math.inf if expires is None else expires - clock.time()
            if patience < 0:
                return None  # it will be told so, and start nothing
            slots, rates = limits.of(message)
            booked = BOOKED.get(message.labels) or False
        except BaseException as error:  # noqa: BLE001 - whatever its key raises: as if the task had, as it can never start
            return await self._failed(delivery, message, error)
        # A holder of its own for each delivery: what one gives up late, the next of the same message does not lose.
        holder = f"{message.task_id}:{self._tag}{next(self._numbers):x}"
        hold = Hold(AdmissionRequest(holder, self._slots.ttl, slots, rates, booked, patience), message.task_id)
        if slots:
            self._slots.enter(delivery, hold)
        answer = await self._answer(hold)
        if answer is None:
            return Outcome(delivery, Ending.PARKED, message, delay=self._pause * random.uniform(0.7, 1.3))
        if isinstance(answer, Exception):
            return await self._failed(delivery, message, answer)
        if not answer.granted:
            return self._park(delivery, message, answer, patience)
        hold.granted = True
        if slots and self._slots.parks and delivery.attempt != 1:
            self._slots.look(hold)
        BOOKED.set(message.labels, None)
        WAITS.set(message.labels, None)
        return None

    def _park(self, delivery: Delivery, message: TaskiqMessage, answer: Answer, patience: float) -> Outcome:
        outcome = Outcome(delivery, Ending.PARKED, message)
        if answer.full is None:
            booked = answer.wait <= patience
            if booked:
                outcome.delay = answer.wait if answer.wait < 2 * LEAD else answer.wait - LEAD
            else:  # it has no time and ends at its expiry, unless the limit changes before
                outcome.delay = patience + _AFTER
            outcome.park = waiting_for_rates(message.task_name) + message.task_id if self._slots.parks else None
            BOOKED.set(message.labels, booked or None)
        elif self._slots.parks:
            outcome.delay, outcome.park = self._slots.ttl / 3, answer.full
            return outcome
        else:
            waits = WAITS.get(message.labels) or 0
            outcome.delay = min(_LONGEST_WAIT, 2.0 ** min(waits, 10)) * random.uniform(0.8, 1.0)
            WAITS.set(message.labels, waits + 1)
        outcome.body = self._broker.formatter.dumps(message).message
        return outcome

    async def _answer(self, hold: Hold) -> Answer | Exception | None:
        if clock.monotonic() < self._closed_until:
            return None
        ask = _Ask(hold)
        self._asks.append(ask)
        self._arrived.set()
        self._wake()
        try:
            await ask.answered.wait()
        except BaseException:
            if not hold.asking:
                self._asks.remove(ask)
            raise
        return ask.answer

    async def run(self) -> None:
        """Ask for those who wait, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            await self._gather()
            asks, self._asks = self._asks, []
            if asks:
                await self._ask_for(asks)

    async def _gather(self) -> None:
        # Slots wake each other one by one: whoever has a message gets to ask with this call.
        seen, quiet_turns = 0, 0
        while quiet_turns < 2:
            quiet_turns = 0 if seen < len(self._asks) else quiet_turns + 1
            seen = len(self._asks)
            await anyio.lowlevel.checkpoint()

    async def _ask_for(self, asks: list[_Ask]) -> None:
        for ask in asks:
            ask.hold.asking = ask.hold.asked = True
        try:
            await self._slots.renew()
            if self._outage.seconds > self._slots.ttl / 3:
                await self._probe()
                self._close(2 * _OTHERS)
            else:
                for ask, answer in zip(asks, await ask_for_all(asks, self._admit, self._probe), strict=True):
                    ask.answer = answer
                self._pause = self._closed_until = 0.0
            self._outage.over()
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self._outage.say("Limits cannot be asked for: tasks that have some are put off until they can", error)
            self._close(min(_MOST, max(_FIRST, 2 * self._pause)))
        finally:
            for ask in asks:
                ask.hold.asking = False
                ask.answered.set()
            self._slots.wake()

    def _close(self, pause: float) -> None:
        self._pause = pause
        self._closed_until = clock.monotonic() + pause / 2

    async def _admit(self, asks: Sequence[_Ask]) -> list[Answer]:
        return await self._call_admit([ask.hold.request for ask in asks])

    async def _probe(self) -> None:
        await self._call_admit([AdmissionRequest("?", self._slots.ttl, [SlotLimit("?", 0)])])

    async def _call_admit(self, requests: Sequence[AdmissionRequest]) -> list[Answer]:
        coordinator = self._broker.coordinator
        assert coordinator is not None, "check_options has seen to that"
        with anyio.fail_after(_PATIENCE):
            return await coordinator.admit(requests)
