"""Brokers that are each wrong in one way about parked messages."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from lying_brokers import ForgetsVerdicts

from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.brokers.inmemory import MemorySubscription
from taskiq_core.brokers.memory_admin import MemoryAdmin
from taskiq_core.brokers.memory_entry import Entry
from taskiq_core.delivery import Delivery, Settlement


class _Calls(MemorySubscription):
    """`call` may take other messages out of their lines, and do something to them."""

    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        return self._broker.queue._parked.take(counts)

    async def unpark(self, counts: Mapping[str, int]) -> None:
        self._broker.queue._wake(self.call(counts))
        self._broker.wake()


class CallsTheEldest(_Calls):
    """Whether anybody can take it or not."""


class CallsAll(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        return super().call({text: 100 for text, count in counts.items() if count})


class CallsTheYoungest(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        lot = self._broker.queue._parked
        return [item for text, count in counts.items() for item in lot.remove(list(lot._lines.get(text, ()))[-count:])]


class CallsLikeALease(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        taken = super().call(counts)
        for entry in taken:
            entry.deaths += 1
        return taken


class CallsItsQueuesOnly(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        lot = self._broker.queue._parked
        return lot.remove(
            [item for text in counts for item in lot._lines.get(text, ()) if item.queue in self._queues][: sum(counts.values())]
        )


class CallsByPattern(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        lot = self._broker.queue._parked
        return [
            item
            for key in counts
            for text in list(lot._lines)
            if fnmatchcase(text, key)
            for item in lot.take({text: counts[key]})
        ]


class RemembersCalls(_Calls):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.surplus: Counter[str] = Counter()

    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        for text, count in counts.items():
            self.surplus[text] += count - len(self._broker.queue._parked._lines.get(text, ()))
        return super().call(counts)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await super().settle(settlements)
        await super().unpark(+self.surplus)


class CallsForThePausedToo(_Calls):
    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        self._broker.queue.paused.clear()
        return super().call(counts)


class CallsToTheEnd(_Calls):
    async def unpark(self, counts: Mapping[str, int]) -> None:
        for entry in self.call(counts):
            self._broker.queue._place(entry)
        self._broker.wake()


class CallsWithoutWaking(_Calls):
    async def unpark(self, counts: Mapping[str, int]) -> None:
        self._broker.queue._wake(self.call(counts))


class CallsTheDelayed(_Calls):
    """Takes who has been parked once for parked."""

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        self.texts = {**getattr(self, "texts", {}), **{item.delivery.receipt: item.park for item in settlements if item.park}}
        await super().settle(settlements)

    def call(self, counts: Mapping[str, int]) -> list[Entry]:
        queue = self._broker.queue
        late = [entry for _, _, entry in queue._delayed if self.texts.get(entry) in counts]
        queue._delayed = []
        return [*super().call(counts), *late]


class ForgetsTheParked(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, delay=math.inf) if item.park else item


class TimesAllAlike(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, park=None) if item.park else item


class TimesByPlace(ForgetsVerdicts):
    """What is parked keeps the time that its place had."""

    parked = 0

    def alter(self, item: Settlement) -> Settlement | None:
        self.parked += item.park is not None
        return replace(item, delay=item.delay * self.parked) if item.park and item.delay else item


class DropsParkedBodies(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, body=None) if item.park else item


class CountsTheParkedAsReady(MemoryAdmin):
    async def depth(self, queue: str) -> QueueDepth:
        depth = await super().depth(queue)
        return QueueDepth(depth.ready + depth.delayed, 0, depth.leased)


class PurgesNoneParked(MemoryAdmin):
    async def purge(self, queue: str) -> int:
        lot = self._queue._parked
        parked = [(entry, entry.parked or "") for entry in lot]
        lot.remove([entry for entry, _ in parked])
        count = await super().purge(queue)
        for entry, text in parked:
            lot.park(entry, text, 60)
        return count + len(parked)


class UnparksAllByPattern(MemoryAdmin):
    async def unpark_all(self, prefix: str) -> int:
        found = [entry for entry in self._queue._parked if fnmatchcase(entry.parked or "", prefix + "*")]
        self._queue._wake(self._queue._parked.remove(found))
        return len(found)


class Starves(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        self._broker.queue._share._count = 0
        return await super().receive(limit)


PARKS = (
    (CallsAll, "the_parked_come_when_they_are_called"),
    (CallsTheYoungest, "the_parked_come_when_they_are_called"),
    (CallsToTheEnd, "the_unparked_come_before_others"),
    (CallsLikeALease, "parking_leaves_deaths_as_they_are"),
    (CallsItsQueuesOnly, "all_queues_wait_in_one_line"),
    (CallsTheEldest, "who_could_not_be_taken_is_passed_over"),
    (CallsByPattern, "a_call_is_for_those_who_wait_then"),
    (RemembersCalls, "a_call_is_for_those_who_wait_then"),
    (ForgetsTheParked, "the_parked_come_back_by_themselves"),
    (TimesAllAlike, "the_parked_come_back_by_themselves"),
    (TimesByPlace, "who_becomes_the_eldest_waits_no_longer_than_it"),
    (CallsTheDelayed, "who_has_come_back_is_not_called"),
    (DropsParkedBodies, "a_parked_message_comes_with_its_new_body"),
    (CallsForThePausedToo, "a_paused_queue_keeps_the_unparked"),
    (CallsWithoutWaking, "who_waits_is_woken_by_a_call"),
    (Starves, "lower_priorities_are_not_starved"),
)
ADMINS = (
    (CountsTheParkedAsReady, "the_parked_are_counted_and_purged"),
    (PurgesNoneParked, "the_parked_are_counted_and_purged"),
    (UnparksAllByPattern, "all_of_a_prefix_can_be_unparked"),
)
