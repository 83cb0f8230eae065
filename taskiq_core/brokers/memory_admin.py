"""Looking into the queues of the in-memory broker."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.brokers.memory_queue import MemoryQueue
from taskiq_core.delivery import DeadLetter
from taskiq_core.evacuating import LookingEvacuation


class MemoryAdmin(QueueAdmin):
    """Changes the store; calls `wake` where somebody may wait for the change."""

    def __init__(self, queue: MemoryQueue, wake: Callable[[], None]) -> None:
        self._queue = queue
        self._wake = wake

    async def depth(self, queue: str) -> QueueDepth:
        return self._queue.depth(queue)

    async def purge(self, queue: str) -> int:
        gone = self._queue.purge(queue)
        self._wake()  # who waits for the work to end
        return gone

    async def pause(self, queue: str) -> None:
        self._queue.paused.add(queue)
        self._wake()  # who waits for the work to end

    async def resume(self, queue: str) -> None:
        self._queue.paused.discard(queue)
        self._wake()

    async def paused(self) -> frozenset[str]:
        return frozenset(self._queue.paused)

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        gone = self._queue.discard(task_ids)
        self._wake()  # who waits for the work to end
        return gone

    def evacuate(self, queue: str) -> Evacuation:
        async def look(limit: int, shown: Collection[str]) -> Sequence[Waiting]:
            found = ((entry, delay) for entry, delay in self._queue.look(queue) if entry.task_id not in shown)
            return [
                Waiting(entry.task_id, entry.body, entry.queue, entry.priority, delay)
                for entry, delay in itertools.islice(found, limit)
            ]

        return LookingEvacuation(look, self.discard)

    async def queues(self) -> frozenset[str]:
        return self._queue.queues()

    async def unpark_all(self, prefix: str) -> int:
        count = self._queue.unpark_all(prefix)
        self._wake()
        return count

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return self._queue.dead.page(queue, limit, before)

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return self._queue.dead.find(ids)

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        count = self._queue.revive(ids, bodies or {})
        self._wake()
        return count

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return self._queue.dead.purge(ids, older_than)
