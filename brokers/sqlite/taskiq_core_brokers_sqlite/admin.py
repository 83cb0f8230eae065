"""Queues and dead letters of a database file."""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core.evacuating import LookingEvacuation
from taskiq_core_brokers_sqlite import dead_letters, parking, waiting
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.parking import leave_line
from taskiq_core_brokers_sqlite.schema import DELAYED, HELD, PARKED, READY
from taskiq_core_brokers_sqlite.statements import as_set

_DISCARD = f"""DELETE FROM taskiq_messages WHERE task_id IN (SELECT value FROM json_each(?)) AND state != {HELD}
               RETURNING id, task_id, state"""  # noqa: S608


class SQLiteAdmin(QueueAdmin):
    """Answers from the file, whoever has written it."""

    def __init__(self, database: Callable[[], Database], dead_ttl: float | None) -> None:
        self._database = database
        self._dead_ttl = dead_ttl
        """Workers delete what is older, now and then; until then nobody sees it."""

    async def depth(self, queue: str) -> QueueDepth:
        def count(conn: sqlite3.Connection) -> QueueDepth:
            statement = "SELECT count(*) FROM taskiq_messages WHERE state = {} AND queue = ?"
            states = READY, DELAYED, PARKED, HELD
            ready, delayed, parked, held = (conn.execute(statement.format(state), (queue,)).fetchone()[0] for state in states)
            return QueueDepth(ready, delayed + parked, held)

        return await self._database().read(count)

    async def purge(self, queue: str) -> int:
        def purge(conn: Connection) -> int:
            parked = conn.execute(f"SELECT id FROM taskiq_messages WHERE state = {PARKED} AND queue = ?", (queue,)).fetchall()  # noqa: S608
            leave_line(conn, [row[0] for row in parked])
            return conn.execute(f"DELETE FROM taskiq_messages WHERE queue = ? AND state != {HELD}", (queue,)).rowcount  # noqa: S608

        return await self._database().write(purge)

    async def pause(self, queue: str) -> None:
        await self._database().write(lambda conn: conn.execute("INSERT OR IGNORE INTO taskiq_paused VALUES (?)", (queue,)))

    async def resume(self, queue: str) -> None:
        def resume(conn: Connection) -> None:
            conn.execute("DELETE FROM taskiq_paused WHERE queue = ?", (queue,))
            conn.ring(queue_channel(queue))

        await self._database().write(resume)

    async def paused(self) -> frozenset[str]:
        rows = await self._database().read(lambda conn: conn.execute("SELECT queue FROM taskiq_paused").fetchall())
        return frozenset(row[0] for row in rows)

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        def discard(conn: Connection) -> frozenset[str]:
            rows = conn.execute(_DISCARD, (as_set(task_ids),)).fetchall()
            parked = [row[0] for row in rows if row[2] == PARKED]
            if parked:
                leave_line(conn, parked)
            return frozenset(row[1] for row in rows)

        return await self._database().write(discard)

    def evacuate(self, queue: str) -> Evacuation:
        async def look(limit: int, shown: Collection[str]) -> Sequence[Waiting]:
            return await self._database().read(lambda conn: waiting.look(conn, queue, limit, shown))

        return LookingEvacuation(look, self.discard)

    async def queues(self) -> frozenset[str]:
        return await self._database().read(waiting.queues)

    async def unpark_all(self, prefix: str) -> int:
        return await self._database().write(lambda conn: parking.unpark_all(conn, prefix))

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return await self._database().read(lambda conn: dead_letters.page(conn, queue, limit, before, self._dead_ttl))

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return await self._database().read(lambda conn: dead_letters.find(conn, ids, self._dead_ttl))

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        return await self._database().write(lambda conn: dead_letters.requeue(conn, ids, bodies or {}, self._dead_ttl))

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return await self._database().write(lambda conn: dead_letters.purge(conn, ids, older_than))
