"""A broker's store in memory: queues, leases, delays, dead letters; no I/O and no waiting."""

import heapq
import itertools
import math
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.delivery import DeadLetter, Delivery, Settlement, Verdict
from taskiq_core.message import BrokerMessage

_LEVELS = 10

ALL_QUEUES = ("*",)
"""A subscription to whatever queues there are."""


@dataclass(slots=True, eq=False)
class Entry:
    """A message in the store."""

    task_id: str
    body: bytes
    queue: str
    priority: int
    attempt: int = 0
    deaths: int = 0
    accused: bool = False
    delayed: bool = False
    parked: str | None = None
    holder: str | None = None
    lease_until: float = 0.0
    forgotten: bool = False


@dataclass(slots=True)
class BuriedMessage(DeadLetter):
    """A dead letter, and what it needs to rise as it was."""

    priority: int = DEFAULT_PRIORITY


class MemoryQueue:
    """All operations are immediate."""

    def __init__(self) -> None:
        self._ready: dict[str, list[deque[Entry]]] = {}
        self._delayed: list[tuple[float, int, Entry]] = []
        self._held: dict[str, set[Entry]] = {}
        self._known: dict[str, Entry] = {}
        self._order = itertools.count()
        self._no_lease_ends_before = math.inf
        self.dead: dict[str, BuriedMessage] = {}
        self.paused: set[str] = set()
        """Queues of which `take` takes nothing."""

    # -- sending ------------------------------------------------------------------------------------------------------------

    def add(self, messages: Iterable[BrokerMessage]) -> None:
        """Take messages; an id that is still here is not taken again."""
        for message in messages:
            if message.task_id in self._known:
                continue
            priority = DEFAULT_PRIORITY if message.priority is None else message.priority
            entry = Entry(message.task_id, message.message, message.queue or DEFAULT_QUEUE, priority)
            self._known[entry.task_id] = entry
            self._place(entry, message.delay)

    def _place(self, entry: Entry, delay: float | None = None, *, first: bool = False) -> None:
        entry.delayed, entry.parked = bool(delay), None
        if delay:
            heapq.heappush(self._delayed, (clock.monotonic() + delay, next(self._order), entry))
            return
        levels = self._ready.get(entry.queue)
        if levels is None:
            levels = self._ready[entry.queue] = [deque() for _ in range(_LEVELS)]
        if first:
            levels[entry.priority].appendleft(entry)
        else:
            levels[entry.priority].append(entry)

    # -- receiving ----------------------------------------------------------------------------------------------------------

    def take(self, queues: Sequence[str], limit: int, holder: str, lease: float) -> list[Delivery]:
        """Up to `limit` ready messages for `holder`, highest priority first."""
        self._promote()
        names = self._open(self._ready if queues == ALL_QUEUES else queues)
        taken: list[Delivery] = []
        held = self._held.setdefault(holder, set())
        until = clock.monotonic() + lease
        self._no_lease_ends_before = min(self._no_lease_ends_before, until)
        for level in range(_LEVELS - 1, -1, -1):
            for queue in names:
                ready = self._ready.get(queue)
                if ready is None:
                    continue
                entries = ready[level]
                while entries and len(taken) < limit:
                    entry = entries.popleft()
                    entry.attempt += 1
                    entry.holder, entry.lease_until, entry.forgotten = holder, until, False
                    held.add(entry)
                    taken.append(Delivery(entry.body, entry, entry.attempt, queue, entry.deaths, entry.accused))
        return taken

    def _open(self, queues: Iterable[str]) -> list[str]:
        return [queue for queue in queues if queue not in self.paused]

    def _promote(self) -> None:
        now = clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._place(heapq.heappop(self._delayed)[2])

    def next_event(self) -> float | None:
        """Seconds until a delayed message is due or a lease may end; None if neither is in sight."""
        times = [self._delayed[0][0]] if self._delayed else []
        if any(self._held.values()):
            times.append(self._no_lease_ends_before)
        return max(0.0, min(times) - clock.monotonic()) if times else None

    def expire(self) -> int:
        """Take back what was held beyond its lease; returns how many.

        Looks at all that is held, and so does it only when a lease may have ended: about once per lease, for leases that are
        renewed.
        """
        now = clock.monotonic()
        if now < self._no_lease_ends_before:
            return 0
        held = [entry for entries in self._held.values() for entry in entries]
        expired = [entry for entry in held if entry.lease_until <= now]
        for entry in expired:
            entry.deaths += not entry.forgotten
            self._let_go(entry)
            self._place(entry, first=True)
        self._no_lease_ends_before = min((entry.lease_until for entry in held if entry.lease_until > now), default=math.inf)
        return len(expired)

    def extend(self, deliveries: Iterable[Delivery], holder: str, lease: float) -> list[Delivery]:
        """Renew; returns those that `holder` no longer holds."""
        until = clock.monotonic() + lease
        lost: list[Delivery] = []
        for delivery in deliveries:
            if self._holds(delivery, holder):
                delivery.receipt.lease_until = until
            else:
                lost.append(delivery)
        return lost

    def forget(self, deliveries: Iterable[Delivery], holder: str) -> None:
        """The end of these leases is no death."""
        for delivery in deliveries:
            if self._holds(delivery, holder):
                delivery.receipt.forgotten = True

    def release_all(self, holder: str) -> None:
        """Give back everything `holder` has."""
        for entry in list(self._held.pop(holder, ())):
            entry.holder = None
            self._place(entry, first=True)

    def bury(self, holder: str, accused: Collection[str]) -> None:
        """Give back everything a dead holder had."""
        for entry in list(self._held.pop(holder, ())):
            entry.holder = None
            entry.deaths += not entry.forgotten
            entry.accused = entry.accused or entry.task_id in accused
            self._place(entry, first=True)

    # -- settling -----------------------------------------------------------------------------------------------------------

    def settle(self, settlements: Iterable[Settlement], holder: str) -> None:
        """Carry out verdicts on what `holder` holds; others are ignored."""
        for settlement in settlements:
            delivery = settlement.delivery
            if not self._holds(delivery, holder):
                continue
            entry: Entry = delivery.receipt
            self._let_go(entry)
            if settlement.verdict is Verdict.ACK:
                del self._known[entry.task_id]
            elif settlement.verdict is Verdict.REJECT:
                del self._known[entry.task_id]
                self._bury_message(entry, settlement)
            else:
                entry.body = entry.body if settlement.body is None else settlement.body
                delay = settlement.delay
                if delay and settlement.park is not None:
                    delay *= 1 + len(self._parked(settlement.park))
                self._place(entry, delay, first=settlement.verdict is Verdict.RELEASE)
                entry.parked = settlement.park if delay else None

    def _holds(self, delivery: Delivery, holder: str) -> bool:
        entry: Entry = delivery.receipt
        return entry.holder == holder and entry.attempt == delivery.attempt

    def _let_go(self, entry: Entry) -> None:
        if entry.holder is not None:
            self._held[entry.holder].discard(entry)
            entry.holder = None

    def _bury_message(self, entry: Entry, settlement: Settlement) -> None:
        letter_id = uuid.uuid4().hex
        self.dead[letter_id] = BuriedMessage(
            id=letter_id,
            body=entry.body if settlement.body is None else settlement.body,
            queue=entry.queue,
            reason=settlement.reason or "rejected",
            died_at=clock.time(),
            attempts=entry.attempt,
            task_id=entry.task_id,
            detail=settlement.detail,
            priority=entry.priority,
        )

    # -- parking ------------------------------------------------------------------------------------------------------------

    def _parked(self, text: str) -> list[tuple[float, int, Entry]]:
        return sorted(item for item in self._delayed if item[2].parked == text)

    def unpark(self, counts: Mapping[str, int]) -> None:
        """Make ready up to so many of those parked for each text, the eldest first."""
        for text, count in counts.items():
            self._wake_parked([entry for _, _, entry in self._parked(text)[:count]])

    def unpark_all(self, prefix: str) -> int:
        """Make ready what is parked for anything that begins so."""
        found = [entry for _, _, entry in sorted(self._delayed) if entry.parked is not None and entry.parked.startswith(prefix)]
        self._wake_parked(found)
        return len(found)

    def _wake_parked(self, entries: Sequence[Entry]) -> None:
        self._forget_delays(entries)
        for entry in reversed(entries):
            self._place(entry, first=True)

    def _forget_delays(self, entries: Sequence[Entry]) -> None:
        gone = {id(entry) for entry in entries}
        self._delayed = [item for item in self._delayed if id(item[2]) not in gone]
        heapq.heapify(self._delayed)

    # -- looking ------------------------------------------------------------------------------------------------------------

    def depth(self, queue: str) -> QueueDepth:
        """Counts of one queue."""
        self._promote()
        ready = sum(len(level) for level in self._ready.get(queue, ()))
        delayed = sum(entry.queue == queue for _, _, entry in self._delayed)
        leased = sum(entry.queue == queue for entries in self._held.values() for entry in entries)
        return QueueDepth(ready, delayed, leased)

    def purge(self, queue: str) -> int:
        """Forget what is ready or delayed."""
        gone = [entry for level in self._ready.pop(queue, []) for entry in level]
        gone += [entry for _, _, entry in self._delayed if entry.queue == queue]
        self._delayed = [item for item in self._delayed if item[2].queue != queue]
        heapq.heapify(self._delayed)
        for entry in gone:
            del self._known[entry.task_id]
        return len(gone)

    def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        """Forget those of these messages that nobody holds; returns whose they were."""
        gone = [entry for task_id in task_ids if (entry := self._known.get(task_id)) is not None and entry.holder is None]
        self._forget_delays([entry for entry in gone if entry.delayed])
        for entry in gone:
            if not entry.delayed:
                self._ready[entry.queue][entry.priority].remove(entry)
            del self._known[entry.task_id]
        return frozenset(entry.task_id for entry in gone)

    def revive(self, ids: Sequence[str], bodies: Mapping[str, bytes]) -> int:
        """Put dead letters back as if new, some with new bodies."""
        letters = [self.dead.pop(item) for item in ids if item in self.dead]
        self.add(BrokerMessage(x.task_id, "", bodies.get(x.id, x.body), queue=x.queue, priority=x.priority) for x in letters)
        return len(letters)

    def works_on(self, task_id: str) -> bool:
        """Whether that message is ready or held (one that is delayed or in a paused queue does not count)."""
        self._promote()
        entry = self._known.get(task_id)
        return entry is not None and (entry.holder is not None or not (entry.delayed or entry.queue in self.paused))

    @property
    def busy(self) -> bool:
        """Whether anything is ready or held (delayed messages and paused queues do not count)."""
        self._promote()
        return any(self._held.values()) or any(level for queue in self._open(self._ready) for level in self._ready[queue])
