"""Brokers that are each wrong in one way about discarding messages, or about dead letters."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import anyio.lowlevel

from taskiq_core.brokers.memory_admin import MemoryAdmin
from taskiq_core.delivery import DeadLetter

# -- discarding ----------------------------------------------------------------------------------------------------------------


class DiscardsNothing(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        return frozenset(task_ids) & set(self._queue._known)


class NamesTheUnknown(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        await super().discard(task_ids)
        return frozenset(task_ids)


class SparesTheDelayed(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        late = {entry.task_id for entry in self._queue._waiting()}
        return await super().discard(set(task_ids) - late)


class SparesThePaused(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        known = self._queue._known
        return await super().discard([item for item in task_ids if known[item].queue not in self._queue.paused])


class DiscardsTheHeld(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        for task_id in task_ids:
            entry = self._queue._known.get(task_id)
            if entry is not None and entry.holder is not None:
                self._queue._let_go(entry)
                self._queue._place(entry)
        return await super().discard(task_ids)


class BarsTheDiscarded(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        entries = {item: entry for item in task_ids if (entry := self._queue._known.get(item))}
        gone = await super().discard(task_ids)
        self._queue._known.update(entries)
        return gone


class LeavesAGapInTheLine(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        lot = self._queue._parked
        before = {text: list(line) for text, line in lot._lines.items()}
        gone = await super().discard(task_ids)
        for text, line in before.items():
            for entry in line:
                if entry.task_id in gone:
                    lot.park(entry, text, 60)
                    lot._lines[text].move_to_end(entry, last=False)
        return gone


class LooksBeforeItDiscards(MemoryAdmin):
    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        known = self._queue._known
        found = frozenset(item for item in task_ids if item in known and known[item].holder is None)
        await anyio.lowlevel.checkpoint()
        await super().discard(found)
        return found


# -- dead letters --------------------------------------------------------------------------------------------------------------


class DropsDetails(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return [replace(item, detail=None) for item in await super().dead_letters(queue=queue, limit=limit, before=before)]


class LosesThoseWithLongDetails(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        letters = await super().dead_letters(queue=queue, limit=limit, before=before)
        return [item for item in letters if len(item.detail or b"") < 100_000]


class CutsDetailsShort(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        letters = await super().dead_letters(queue=queue, limit=limit, before=before)
        return [replace(item, detail=item.detail and item.detail[:1000]) for item in letters]


class EndsReasonsAtTheNul(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        letters = await super().dead_letters(queue=queue, limit=limit, before=before)
        return [replace(item, reason=item.reason.partition("\0")[0]) for item in letters]


class CountsNoDeliveries(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return [replace(item, attempts=0) for item in await super().dead_letters(queue=queue, limit=limit, before=before)]


class FindsInItsOwnOrder(MemoryAdmin):
    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return await super().find_dead(sorted(ids))


class TurnsPagesByPlace(MemoryAdmin):
    pages = 0

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        self.pages = 0 if before is None else self.pages + 1
        begin = self.pages * limit
        return (await super().dead_letters(queue=queue))[begin : begin + limit]


class ChoosesTheQueueLast(MemoryAdmin):
    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        found = await super().dead_letters(limit=limit, before=before)
        return [letter for letter in found if queue in (None, letter.queue)]


class RequeuesTheOldBodies(MemoryAdmin):
    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        return await super().requeue_dead(ids)


class PurgesTheFresh(MemoryAdmin):
    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return await super().purge_dead(ids, older_than=None if ids else older_than)


LIARS = (
    (DiscardsNothing, "discard_removes_what_is_ready"),
    (NamesTheUnknown, "discard_removes_what_is_ready"),
    (SparesTheDelayed, "discard_removes_the_delayed"),
    (SparesThePaused, "discard_looks_into_every_queue"),
    (DiscardsTheHeld, "discard_leaves_what_workers_hold"),
    (BarsTheDiscarded, "a_discarded_id_may_be_sent_again"),
    (LeavesAGapInTheLine, "discard_removes_the_parked"),
    (LooksBeforeItDiscards, "each_is_received_or_discarded"),
    (DropsDetails, "dead_letters_tell_what_happened"),
    (LosesThoseWithLongDetails, "however_long_an_error_is_the_message_is_dead_lettered"),
    (CutsDetailsShort, "however_long_an_error_is_the_message_is_dead_lettered"),
    (EndsReasonsAtTheNul, "a_reason_may_hold_a_nul"),
    (CountsNoDeliveries, "dead_letters_tell_what_happened"),
    (FindsInItsOwnOrder, "dead_letters_are_found_by_id"),
    (TurnsPagesByPlace, "dead_letters_are_turned_page_by_page"),
    (ChoosesTheQueueLast, "pages_of_one_queue"),
    (RequeuesTheOldBodies, "dead_letters_can_be_requeued_with_new_bodies"),
    (PurgesTheFresh, "old_dead_letters_can_be_purged"),
)
