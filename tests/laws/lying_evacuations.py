"""Brokers that are each wrong in one way about what waits and is carried away."""

from collections.abc import Sequence
from dataclasses import replace

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.brokers.memory_admin import MemoryAdmin
from taskiq_core.evacuating import LookingEvacuation


class _Lying(MemoryAdmin):
    """Its evacuations are of the class `way`, and know the store."""

    way: type["_Way"]

    def evacuate(self, queue: str) -> Evacuation:
        return self.way(super().evacuate(queue), self, queue)


class _Way(Evacuation):
    def __init__(self, honest: Evacuation, admin: _Lying, queue: str) -> None:
        assert isinstance(honest, LookingEvacuation)
        self.honest = honest
        self.admin = admin
        self.store = admin._queue
        self.queue = queue

    async def next(self, limit: int) -> Sequence[Waiting]:
        return await self.honest.next(limit)

    async def remove(self, messages: Sequence[Waiting]) -> None:
        await self.honest.remove(messages)


def _lying(name: str, way: type[_Way]) -> type[MemoryAdmin]:
    return type(name, (_Lying,), {"way": way})


class _ExceedsLimit(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        return await self.honest.next(limit + 1)


class _ShowsAgain(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        self.honest._shown.clear()
        return await self.honest.next(limit)


class _Backwards(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        return [*reversed(await self.honest.next(limit))]


class _ForgetsPriorities(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        return [replace(item, priority=5) for item in await self.honest.next(limit)]


class _TakesItsTime(_Way):
    """Tells the delay that a message had, not what is left of it."""

    async def next(self, limit: int) -> Sequence[Waiting]:
        return [replace(item, delay=item.delay and 60.0) for item in await self.honest.next(limit)]


class _ForgetsDelays(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        return [replace(item, delay=None) for item in await self.honest.next(limit)]


class _SparesTheParked(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        parked = {entry.task_id for entry in self.store._parked}
        return [item for item in await self.honest.next(limit) if item.task_id not in parked]


class _ShowsTheHeld(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        held = [entry for entries in self.store._held.values() for entry in entries]
        shown = [Waiting(entry.task_id, entry.body, entry.queue, entry.priority) for entry in held]
        return [*await self.honest.next(limit), *shown][:limit]


class _RemovesNothing(_Way):
    async def remove(self, messages: Sequence[Waiting]) -> None:
        return


class _BarsTheRemoved(_Way):
    async def remove(self, messages: Sequence[Waiting]) -> None:
        entries = {item.task_id: self.store._known[item.task_id] for item in messages if item.task_id in self.store._known}
        await self.honest.remove(messages)
        self.store._known.update(entries)


class _RemovesAllThatItShowed(_Way):
    async def __aexit__(self, *_: object) -> None:
        await self.admin.purge(self.queue)


class _GivesBackLast(_Way):
    """Gives back to the end of the queue what it had fetched."""

    async def __aexit__(self, *_: object) -> None:
        entries = self.store._ready.of(self.queue)
        self.store._ready.remove(entries, entries)
        for entry in reversed(entries):
            self.store._place(entry)


class _LooksOnce(_Way):
    found = False

    async def next(self, limit: int) -> Sequence[Waiting]:
        page = () if self.found else await self.honest.next(limit)
        self.found = self.found or not page
        return page


class _ShowsOtherQueues(_Way):
    async def next(self, limit: int) -> Sequence[Waiting]:
        others = [entry for queue in self.store._ready for entry in self.store._ready.of(queue) if queue != self.queue]
        more = [Waiting(entry.task_id, entry.body, entry.queue, entry.priority) for entry in others]
        return [*more, *await self.honest.next(limit)][:limit]


class _TurnsPagesByPlace(_Way):
    place = 0

    async def next(self, limit: int) -> Sequence[Waiting]:
        self.honest._shown.clear()
        page = (await self.honest.next(10_000))[self.place : self.place + limit]
        self.place += len(page)
        return page


class NamesReadyQueues(MemoryAdmin):
    async def queues(self) -> frozenset[str]:
        return frozenset(self._queue._ready)


LIARS = (
    (_lying("ExceedsLimit", _ExceedsLimit), "an_evacuation_shows_what_waits"),
    (_lying("ShowsAgain", _ShowsAgain), "an_evacuation_shows_what_waits"),
    (_lying("Backwards", _Backwards), "an_evacuation_shows_what_waits"),
    (_lying("ForgetsPriorities", _ForgetsPriorities), "an_evacuation_follows_priorities"),
    (_lying("TakesItsTime", _TakesItsTime), "an_evacuation_tells_what_is_left_of_delays"),
    (_lying("ForgetsDelays", _ForgetsDelays), "an_evacuation_tells_what_is_left_of_delays"),
    (_lying("SparesTheParked", _SparesTheParked), "an_evacuation_shows_the_parked"),
    (_lying("ShowsTheHeld", _ShowsTheHeld), "an_evacuation_leaves_what_workers_hold"),
    (_lying("RemovesNothing", _RemovesNothing), "what_is_removed_is_gone"),
    (_lying("BarsTheRemoved", _BarsTheRemoved), "what_is_removed_is_gone"),
    (_lying("RemovesAllThatItShowed", _RemovesAllThatItShowed), "what_is_not_removed_stays_as_it_was"),
    (_lying("GivesBackLast", _GivesBackLast), "what_is_not_removed_stays_as_it_was"),
    (_lying("LooksOnce", _LooksOnce), "what_comes_meanwhile_is_shown"),
    (_lying("ShowsOtherQueues", _ShowsOtherQueues), "an_evacuation_is_of_one_queue"),
    (_lying("TurnsPagesByPlace", _TurnsPagesByPlace), "an_evacuation_of_many"),
    (NamesReadyQueues, "queues_are_named"),
)
