"""Queues and dead letters for operators."""

import re
from collections.abc import Sequence
from typing import Any

from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.scripts import Script

_DEPTH = Script("depth")
_PURGE = Script("purge")
_PAUSE = Script("pause")
_RESUME = Script("resume")
_REQUEUE = Script("requeue")
_CHUNK = 100
"""Messages of one step, each of which may be large."""


class RedisAdmin(QueueAdmin):
    """Dead letters are a stream of their own; the id of a letter is that of its entry."""

    def __init__(self, commands: Line, root: str) -> None:
        self._commands = commands
        self._root = root

    async def depth(self, queue: str) -> QueueDepth:
        return QueueDepth(*await self._commands.run(_DEPTH, self._root, queue))

    async def purge(self, queue: str) -> int:
        total = 0
        while gone := int(await self._commands.run(_PURGE, self._root, queue, _CHUNK)):
            total += gone
        return total

    async def pause(self, queue: str) -> None:
        await self._commands.run(_PAUSE, self._root, queue)

    async def resume(self, queue: str) -> None:
        await self._commands.run(_RESUME, self._root, queue)

    async def paused(self) -> frozenset[str]:
        return frozenset(name.decode() for name in await self._commands.call("SMEMBERS", f"{self._root}:paused"))

    async def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        letters: list[DeadLetter] = []
        last = "+"
        while len(letters) < limit:
            count = _CHUNK if queue is not None else min(_CHUNK, limit - len(letters))
            entries = await self._commands.call("XREVRANGE", f"{self._root}:dead", last, "-", "COUNT", count)
            letters += [letter for letter in map(_letter, entries) if queue in (None, letter.queue)]
            if len(entries) < count:
                break
            last = "(" + entries[-1][0].decode()
        return letters[:limit]

    async def requeue_dead(self, ids: Sequence[str]) -> int:
        known = [item for item in ids if _is_entry(item)]
        return int(await self._commands.run(_REQUEUE, self._root, *known)) if known else 0

    async def purge_dead(self, ids: Sequence[str] | None = None) -> int:
        if ids is None:
            return int(await self._commands.call("XTRIM", f"{self._root}:dead", "MAXLEN", 0))
        known = [item for item in ids if _is_entry(item)]
        return int(await self._commands.call("XDEL", f"{self._root}:dead", *known)) if known else 0


def _is_entry(text: str) -> bool:
    return re.fullmatch(r"\d{1,19}-\d{1,19}", text) is not None


def _letter(entry: Sequence[Any]) -> DeadLetter:
    entry_id: bytes = entry[0]
    body, _, queue, reason, attempts, _ = entry[1][1::2]
    died_at = int(entry_id.partition(b"-")[0]) / 1000
    return DeadLetter(entry_id.decode(), body, queue.decode(), reason.decode(), died_at, int(attempts))
