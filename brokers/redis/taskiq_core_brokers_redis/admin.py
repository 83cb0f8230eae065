"""Queues and dead letters for operators."""

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core.evacuating import LookingEvacuation
from taskiq_core_brokers_redis import waiting
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.parking import unpark_all
from taskiq_core_brokers_redis.scripts import Script

_DEPTH = Script("depth")
_PURGE = Script("delayed", "parking", "removal", "unread", "purge")
_PAUSE = Script("pause")
_RESUME = Script("resume")
_DISCARD = Script("delayed", "parking", "removal", "discard")
_DEAD = Script("dead")
_REQUEUE = Script("requeue")
_FEW = 100
"""Messages of one step, each of which may be large."""
_MANY = 500
"""Ids of one step."""


class RedisAdmin(QueueAdmin):
    """Dead letters are a stream of their own; the id of a letter is that of its entry.

    :param dead_ttl: seconds after which a dead letter is no more; None for never.
    """

    def __init__(self, commands: Line, root: str, dead_ttl: float | None) -> None:
        self._commands = commands
        self._root = root
        self._dead = f"{root}:dead"
        self._dead_ttl = dead_ttl

    async def depth(self, queue: str) -> QueueDepth:
        return QueueDepth(*await self._commands.run(_DEPTH, self._root, queue))

    async def purge(self, queue: str) -> int:
        total = 0
        while gone := int(await self._commands.run(_PURGE, self._root, queue, _FEW)):
            total += gone
        return total

    async def pause(self, queue: str) -> None:
        await self._commands.run(_PAUSE, self._root, queue)

    async def resume(self, queue: str) -> None:
        await self._commands.run(_RESUME, self._root, queue)

    async def paused(self) -> frozenset[str]:
        return frozenset(name.decode() for name in await self._commands.call("SMEMBERS", f"{self._root}:paused"))

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        gone: set[str] = set()
        for chunk in _chunks(list(task_ids), _MANY):
            gone.update(bytes(item).decode() for item in await self._commands.run(_DISCARD, self._root, *chunk))
        return frozenset(gone)

    def evacuate(self, queue: str) -> Evacuation:
        async def look(limit: int, shown: Collection[str]) -> Sequence[Waiting]:
            return await waiting.look(self._commands, self._root, queue, limit, shown)

        return LookingEvacuation(look, self.discard)

    async def queues(self) -> frozenset[str]:
        return await waiting.queues(self._commands, self._root)

    async def unpark_all(self, prefix: str) -> int:
        return await unpark_all(self._commands, self._root, prefix)

    # -- dead letters ---------------------------------------------------------------------------------------------------------

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        if before is not None and not _is_entry(before):
            return []
        await self._expire()
        start = b"+" if before is None else b"(" + before.encode()
        letters: list[DeadLetter] = []
        while len(letters) < limit:
            found, last = await self._page(queue, start, limit - len(letters))
            letters += map(_letter, found)
            if last is None:
                break
            start = b"(" + last
        return letters

    async def _page(self, queue: str | None, start: bytes, count: int) -> tuple[Sequence[Any], bytes | None]:
        """Entries from `start` on, and the last one that was looked at."""
        if queue is not None:
            found, last = await self._commands.run(_DEAD, self._root, queue, start, count)
            return found, last
        found = await self._commands.call("XREVRANGE", self._dead, start, "-", "COUNT", min(_FEW, count))
        return found, found[-1][0] if found else None

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        await self._expire()
        known = filter(_is_entry, ids)
        found = await asyncio.gather(*[self._commands.call("XRANGE", self._dead, item, item) for item in known])
        return [_letter(entry) for entries in found for entry in entries]

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        await self._expire()
        bodies, total = bodies or {}, 0
        for chunk in _chunks([item for item in ids if _is_entry(item)], _FEW):
            parts = [part for item in chunk for part in (item, int(item in bodies), bodies.get(item, b""))]
            total += int(await self._commands.run(_REQUEUE, self._root, *parts))
        return total

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        before = None if older_than is None else await self._milliseconds_ago(older_than)
        if ids is None:
            kept = ("MAXLEN", 0) if before is None else ("MINID", before)
            return int(await self._commands.call("XTRIM", self._dead, *kept))
        chosen = [item for item in ids if _is_entry(item) and (before is None or _died_at(item) < before)]
        return int(await self._commands.call("XDEL", self._dead, *chosen)) if chosen else 0

    async def _expire(self) -> None:
        if self._dead_ttl is not None:
            await self.purge_dead(older_than=self._dead_ttl)

    async def _milliseconds_ago(self, seconds: float) -> int:
        now, micros = await self._commands.call("TIME")
        return max(0, round(1000 * (int(now) - seconds)) + int(micros) // 1000)


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _is_entry(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,19}-[0-9]{1,19}", text) is not None


def _died_at(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])


def _letter(entry: Sequence[Any]) -> DeadLetter:
    letter_id = entry[0].decode()
    body, task_id, queue, reason, attempts, _, *detail = entry[1][1::2]
    return DeadLetter(
        letter_id,
        body,
        queue.decode(),
        reason.decode(),
        _died_at(letter_id) / 1000,
        int(attempts),
        task_id.decode(errors="replace"),
        detail[0] if detail else None,
    )
