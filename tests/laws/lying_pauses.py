"""Brokers that are each wrong in one way about pausing queues."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lying_brokers import lying

from taskiq_core.brokers.inmemory import InMemoryBroker, MemorySubscription
from taskiq_core.brokers.memory_admin import MemoryAdmin
from taskiq_core.delivery import Delivery, Settlement


def pausing(liar: type[MemoryAdmin]) -> type[InMemoryBroker]:
    """A broker whose admin lies."""

    class Liar(InMemoryBroker):
        def __init__(self, *, lease: float) -> None:
            super().__init__(lease=lease)
            self.admin = liar(self.queue, self.wake)

    Liar.__name__ = liar.__name__
    return Liar


class OnlySaysSo(MemoryAdmin):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.said: set[str] = set()

    async def pause(self, queue: str) -> None:
        self.said.add(queue)

    async def paused(self) -> frozenset[str]:
        return frozenset(self.said)


class DropsWhatWaits(MemoryAdmin):
    async def pause(self, queue: str) -> None:
        await self.purge(queue)
        await super().pause(queue)


class WakesNobody(MemoryAdmin):
    async def resume(self, queue: str) -> None:
        self._queue.paused.discard(queue)


class PausesAll(MemoryAdmin):
    async def pause(self, queue: str) -> None:
        for name in ("one", "two"):
            await super().pause(name)


class NeedsOneResumeEach(MemoryAdmin):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.pauses: Counter[str] = Counter()

    async def pause(self, queue: str) -> None:
        self.pauses[queue] += 1
        await super().pause(queue)

    async def resume(self, queue: str) -> None:
        self.pauses[queue] -= 1
        if self.pauses[queue] < 1:
            await super().resume(queue)
            del self.pauses[queue]


class ListsNothing(MemoryAdmin):
    async def paused(self) -> frozenset[str]:
        return frozenset()


class PurgeResumes(MemoryAdmin):
    async def purge(self, queue: str) -> int:
        await self.resume(queue)
        return await super().purge(queue)


class RequeueDelivers(MemoryAdmin):
    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        self._queue.paused.clear()
        return await super().requeue_dead(ids, bodies)


class _DecidesOnce(MemorySubscription):
    """Knows only what was paused when it began."""

    async def receive(self, limit: int) -> Sequence[Delivery]:
        queue = self._broker.queue
        before = set(queue.paused)
        while True:
            now, queue.paused = queue.paused, before
            taken = queue.take(self._queues, limit, self.consumer, self.lease or 0)
            queue.paused = now
            if taken:
                return taken
            await self._broker.next_change()


class _SettlesNothingPaused(MemorySubscription):
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        paused = self._broker.queue.paused
        await super().settle([item for item in settlements if item.delivery.queue not in paused])


class _LeavesToNobody(MemorySubscription):
    async def __aexit__(self, *_: object) -> None:
        queue = self._broker.queue
        held = queue._held.pop(self.consumer, set())
        for entry in held:
            if entry.queue not in queue.paused:
                queue._place(entry, first=True)


class _DeliversTheDelayed(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        queue = self._broker.queue
        late = {entry.queue for _, _, entry in queue._delayed}
        await self._broker.changed(queue.next_event() if late else 0)
        queue.paused -= late
        return await super().receive(limit)


KeepsWhatWaits = lying("KeepsWhatWaits", _DecidesOnce)
StopsHolders = lying("StopsHolders", _SettlesNothingPaused)
LeavesToNobody = lying("LeavesToNobody", _LeavesToNobody)
DeliversTheDelayed = lying("DeliversTheDelayed", _DeliversTheDelayed)
