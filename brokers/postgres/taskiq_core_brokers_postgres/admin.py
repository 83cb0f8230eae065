"""Queues and dead letters of a database."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core.evacuating import LookingEvacuation
from taskiq_core_brokers_postgres import dead_letters, parking, waiting
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.schema import DELAYED, HELD, PARKED, READY

_CHUNK = 10_000
"""Messages that one transaction of `purge` deletes: a large queue takes many, none of which takes long."""

_DEPTH = "SELECT state, count(*) FROM taskiq.messages WHERE queue = $1 GROUP BY state"
_REMOVE = f"""WITH chosen AS MATERIALIZED (
        SELECT task_id, park FROM taskiq.messages WHERE {{}} AND state <> {HELD} ORDER BY task_id LIMIT $2 FOR UPDATE)
    DELETE FROM taskiq.messages AS gone USING chosen WHERE gone.task_id = chosen.task_id
    RETURNING chosen.task_id, chosen.park"""
_PURGE = _REMOVE.format("queue = $1 AND task_id > $3")
_DISCARD = _REMOVE.format("task_id = ANY ($1::text[])")
_RESUME = f"WITH touched AS (DELETE FROM taskiq.paused WHERE queue = $1 RETURNING queue) {RING}"


class PostgresAdmin(QueueAdmin):
    """Answers from the tables, whoever has written them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def depth(self, queue: str) -> QueueDepth:
        counts: dict[int, int] = {row[0]: row[1] for row in await self._database.fetch(_DEPTH, queue)}
        return QueueDepth(counts.get(READY, 0), counts.get(DELAYED, 0) + counts.get(PARKED, 0), counts.get(HELD, 0))

    async def purge(self, queue: str) -> int:
        count, last = 0, ""
        while removed := await self._remove(_PURGE, queue, _CHUNK, last):
            count, last = count + len(removed), max(removed, key=str.encode)
        return count

    async def pause(self, queue: str) -> None:
        await self._database.fetch("INSERT INTO taskiq.paused VALUES ($1) ON CONFLICT DO NOTHING", queue)

    async def resume(self, queue: str) -> None:
        await self._database.fetch(_RESUME, queue)

    async def paused(self) -> frozenset[str]:
        return frozenset(row[0] for row in await self._database.fetch("SELECT queue FROM taskiq.paused"))

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        return frozenset(await self._remove(_DISCARD, list(task_ids), len(task_ids)))

    async def _remove(self, statement: str, *what: Any) -> list[str]:
        """Delete what waits; lines of parked messages close up."""
        async with self._database.transaction() as work:
            await parking.alone(work)
            rows = await work.fetch(statement, *what)
            await parking.move_up(work, {row[1] for row in rows if row[1] is not None})
            return [row[0] for row in rows]

    def evacuate(self, queue: str) -> Evacuation:
        async def look(limit: int, shown: Collection[str]) -> Sequence[Waiting]:
            return await waiting.look(self._database, queue, limit, shown)

        return LookingEvacuation(look, self.discard)

    async def queues(self) -> frozenset[str]:
        return await waiting.queues(self._database)

    async def unpark_all(self, prefix: str) -> int:
        return await parking.unpark_all(self._database, prefix)

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return await dead_letters.page(self._database, queue, limit, before)

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return await dead_letters.find(self._database, ids)

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        return await dead_letters.requeue(self._database, ids, bodies or {})

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return await dead_letters.purge(self._database, ids, older_than)
