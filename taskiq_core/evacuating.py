"""An evacuation for brokers that can look at what waits, and take it out by its id."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from taskiq_core.abc.evacuation import Evacuation, Waiting

Look = Callable[[int, Collection[str]], Awaitable[Sequence[Waiting]]]
"""At most so many messages that wait, in the order of `Evacuation.next`, but for those with these ids."""
Discard = Callable[[Collection[str]], Awaitable[object]]
"""`QueueAdmin.discard`."""


class LookingEvacuation(Evacuation):
    """Holds nothing on the server, so that nothing has to be given back: what it has shown and not removed, it remembers."""

    def __init__(self, look: Look, discard: Discard) -> None:
        self._look = look
        self._discard = discard
        self._shown: set[str] = set()

    async def next(self, limit: int) -> Sequence[Waiting]:
        found = await self._look(limit, self._shown)
        self._shown.update(item.task_id for item in found)
        return found

    async def remove(self, messages: Sequence[Waiting]) -> None:
        ids = [item.task_id for item in messages]
        await self._discard(ids)
        self._shown.difference_update(ids)
