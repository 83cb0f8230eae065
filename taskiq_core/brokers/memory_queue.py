"""A broker's store in memory: queues, leases, delays, dead letters; no I/O and no waiting."""

import heapq
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.brokers.memory_dead import DeadLetters
from taskiq_core.brokers.memory_entry import Entry
from taskiq_core.brokers.memory_parking import ParkingLot
from taskiq_core.brokers.memory_ready import ReadyLines
from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.low_share import LowShare
from taskiq_core.message import BrokerMessage

_ABOVE_ALL = 10

ALL_QUEUES = ("*",)
"""A subscription to whatever queues there are."""


class MemoryQueue:
    """All operations are immediate."""

    def __init__(self, dead_ttl: float | None = None) -> None:
        self._ready = ReadyLines()
        self._delayed: list[tuple[float, int, Entry]] = []
        self._held: dict[str, dict[Entry, None]] = {}  # in the order in which they were taken
        self._known: dict[str, Entry] = {}
        self._order = itertools.count()
        self._no_lease_ends_before = math.inf
        self._parked = ParkingLot()
        self._share = LowShare()
        self.dead = DeadLetters(dead_ttl)
        self.paused: set[str] = set()
        """Queues of which `take` takes nothing."""
        self.receivers: dict[str, Sequence[str]] = {}
        """The queues of each holder that may take messages."""

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
        if delay:
            entry.delayed = True
            heapq.heappush(self._delayed, (clock.monotonic() + delay, next(self._order), entry))
            return
        entry.delayed = False
        self._ready.add(entry, first=first)

    # -- receiving ----------------------------------------------------------------------------------------------------------

    def take(self, queues: Sequence[str], limit: int, holder: str, lease: float) -> list[Delivery]:
        """Up to `limit` ready messages for `holder`, highest priority first."""
        self._promote()
        names = self._open(self._ready if queues == ALL_QUEUES else queues)
        entries: list[Entry] = []
        owed = self._share.owed(limit)
        if owed and (low := self._share.turn(lambda level: self._ready.highest_below(names, level))) is not None:
            self._ready.pop(names, low, entries, owed)
        for level in range(_ABOVE_ALL - 1, -1, -1):
            self._ready.pop(names, level, entries, limit)
        self._share.delivered(len(entries))
        return self._hand_over(entries, holder, lease)

    def _hand_over(self, entries: Sequence[Entry], holder: str, lease: float) -> list[Delivery]:
        held = self._held.setdefault(holder, {})
        until = clock.monotonic() + lease
        self._no_lease_ends_before = min(self._no_lease_ends_before, until)
        deliveries: list[Delivery] = []
        for entry in entries:
            entry.attempt += 1
            entry.holder, entry.lease_until, entry.forgotten = holder, until, False
            held[entry] = None
            deliveries.append(Delivery(entry.body, entry, entry.attempt, entry.queue, entry.deaths, entry.accused))
        return deliveries

    def _open(self, queues: Iterable[str]) -> list[str]:
        return [queue for queue in queues if queue not in self.paused]

    def _promote(self) -> None:
        now = clock.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._place(heapq.heappop(self._delayed)[2])
        self._wake(self._parked.take_due())

    def next_event(self) -> float | None:
        """Seconds until a message is due or a lease may end; None if neither is in sight."""
        times = [self._delayed[0][0]] if self._delayed else []
        back = self._parked.next_time()
        if back is not None:
            times.append(back)
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
        for entry in reversed(expired):
            entry.deaths += not entry.forgotten
            self._let_go(entry)
            self._place(entry, first=True)
        self._no_lease_ends_before = min((entry.lease_until for entry in held if entry.lease_until > now), default=math.inf)
        return len(expired)

    def lapse(self, task_id: str) -> bool:
        """End the lease of that message now, which is no death; False if there is no such message (it is done with)."""
        entry = self._known.get(task_id)
        if entry is not None and entry.holder is not None:
            entry.lease_until, entry.forgotten, self._no_lease_ends_before = -math.inf, True, -math.inf
            self.expire()
        return entry is not None

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
        """Give back everything `holder` has, which takes no more."""
        self.receivers.pop(holder, None)
        for entry in reversed(self._held.pop(holder, {})):
            entry.holder = None
            self._place(entry, first=True)

    def bury(self, holder: str, accused: Collection[str]) -> None:
        """Give back everything a dead holder had."""
        self.receivers.pop(holder, None)
        for entry in reversed(self._held.pop(holder, {})):
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
                self.dead.add(entry, settlement)
            else:
                self._give_back(entry, settlement)

    def _give_back(self, entry: Entry, settlement: Settlement) -> None:
        entry.body = entry.body if settlement.body is None else settlement.body
        released = settlement.verdict is Verdict.RELEASE
        if released and settlement.park is not None and settlement.delay:
            self._parked.park(entry, settlement.park, settlement.delay)
        else:
            self._place(entry, settlement.delay, first=released)

    def _holds(self, delivery: Delivery, holder: str) -> bool:
        entry: Entry = delivery.receipt
        return entry.holder == holder and entry.attempt == delivery.attempt

    def _let_go(self, entry: Entry) -> None:
        if entry.holder is not None:
            self._held[entry.holder].pop(entry, None)
            entry.holder = None

    # -- parking ------------------------------------------------------------------------------------------------------------

    def unpark(self, counts: Mapping[str, int]) -> None:
        """Make ready up to so many of those parked for each text, the eldest first of those that somebody can take."""
        served = {queue for queues in self.receivers.values() for queue in queues}
        self._wake(self._parked.take(counts, lambda q: q not in self.paused and not served.isdisjoint((q, *ALL_QUEUES))))

    def unpark_all(self, prefix: str) -> int:
        """Make ready what is parked for anything that begins so."""
        found = self._parked.take_all(prefix)
        self._wake(found)
        return len(found)

    def _wake(self, entries: Sequence[Entry]) -> None:
        for entry in reversed(entries):
            self._place(entry, first=True)

    # -- looking ------------------------------------------------------------------------------------------------------------

    def depth(self, queue: str) -> QueueDepth:
        """Counts of one queue."""
        self._promote()
        ready = len(self._ready.of(queue))
        waiting = sum(entry.queue == queue for entry in self._waiting())
        leased = sum(entry.queue == queue for entries in self._held.values() for entry in entries)
        return QueueDepth(ready, waiting, leased)

    def queues(self) -> frozenset[str]:
        """Those with any message, and those that are paused."""
        return frozenset(entry.queue for entry in self._known.values()) | self.paused

    def look(self, queue: str) -> Iterator[tuple[Entry, float | None]]:
        """What waits in a queue, as `Evacuation.next` has it: each with the seconds until it is due."""
        self._promote()
        yield from ((entry, None) for entry in itertools.chain(self._ready.of(queue), self._parked) if entry.queue == queue)
        now = clock.monotonic()
        yield from ((entry, due - now) for due, _, entry in self._delayed if entry.queue == queue)

    def _waiting(self) -> Iterator[Entry]:
        return itertools.chain((entry for _, _, entry in self._delayed), self._parked)

    def purge(self, queue: str) -> int:
        """Forget what is ready, delayed or parked."""
        gone = self._ready.of(queue)
        gone += [entry for entry in self._waiting() if entry.queue == queue]
        self._remove(gone)
        return len(gone)

    def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        """Forget those of these messages that nobody holds; returns whose they were."""
        known = (self._known.get(task_id) for task_id in set(task_ids))
        gone = [entry for entry in known if entry is not None and entry.holder is None]
        self._remove(gone)
        return frozenset(entry.task_id for entry in gone)

    def _remove(self, entries: Sequence[Entry]) -> None:
        """Each place where some of them stand is gone through once."""
        gone = set(entries)
        self._ready.remove((entry for entry in entries if not entry.waits), gone)
        if any(entry.delayed for entry in entries):
            self._delayed = [item for item in self._delayed if item[2] not in gone]
            heapq.heapify(self._delayed)
        self._parked.remove(entry for entry in entries if entry.parked is not None)
        for entry in entries:
            del self._known[entry.task_id]

    def revive(self, ids: Sequence[str], bodies: Mapping[str, bytes]) -> int:
        """Put dead letters back as if new, some with new bodies."""
        letters = self.dead.take(ids)
        self.add(BrokerMessage(x.task_id, "", bodies.get(x.id, x.body), queue=x.queue, priority=x.priority) for x in letters)
        return len(letters)

    def works_on(self, task_id: str) -> bool:
        """Whether that message is ready or held (one that waits or is in a paused queue does not count)."""
        self._promote()
        entry = self._known.get(task_id)
        return entry is not None and (entry.holder is not None or not (entry.waits or entry.queue in self.paused))

    def __len__(self) -> int:
        """How many messages are not done with, wherever they are."""
        return len(self._known)

    @property
    def busy(self) -> bool:
        """Whether anything is ready, parked or held (delayed messages and paused queues do not count)."""
        self._promote()
        ready = any(self._ready.any(queue) for queue in self._open(self._ready))
        return ready or any(self._held.values()) or any(entry.queue not in self.paused for entry in self._parked)
