"""Queues and dead letters of a database file."""

import sqlite3
from collections.abc import Callable, Sequence

from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.schema import DELAYED, HELD, READY
from taskiq_core_brokers_sqlite.statements import as_set

_CHOSEN = "id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"


class SQLiteAdmin(QueueAdmin):
    """Answers from the file, whoever has written it."""

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database

    async def depth(self, queue: str) -> QueueDepth:
        def count(conn: sqlite3.Connection) -> QueueDepth:
            statement = "SELECT count(*) FROM taskiq_messages WHERE state = {} AND queue = ?"
            counts = [conn.execute(statement.format(state), (queue,)).fetchone()[0] for state in (READY, DELAYED, HELD)]
            return QueueDepth(*counts)

        return await self._database().read(count)

    async def purge(self, queue: str) -> int:
        statement = f"DELETE FROM taskiq_messages WHERE queue = ? AND state IN ({READY}, {DELAYED})"  # noqa: S608
        return await self._database().write(lambda conn: conn.execute(statement, (queue,)).rowcount)

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

    async def dead_letters(self, *, queue: str | None = None, limit: int = 100) -> Sequence[DeadLetter]:
        where, parameters = ("", (limit,)) if queue is None else ("WHERE queue = ?", (queue, limit))
        statement = (
            f"SELECT id, body, queue, reason, died_at, attempts FROM taskiq_dead_letters {where} ORDER BY id DESC LIMIT ?"  # noqa: S608
        )
        rows = await self._database().read(lambda conn: conn.execute(statement, parameters).fetchall())
        return [DeadLetter(str(row[0]), *row[1:]) for row in rows]

    async def requeue_dead(self, ids: Sequence[str]) -> int:
        def requeue(conn: Connection) -> int:
            chosen = as_set(ids)
            rows = conn.execute(f"SELECT queue FROM taskiq_dead_letters WHERE {_CHOSEN}", (chosen,)).fetchall()  # noqa: S608
            conn.execute(
                f"""INSERT INTO taskiq_messages (task_id, queue, priority, state, body)
                    SELECT task_id, queue, priority, {READY}, body FROM taskiq_dead_letters WHERE {_CHOSEN} ORDER BY id
                    ON CONFLICT (task_id) DO NOTHING""",  # noqa: S608
                (chosen,),
            )
            conn.execute(f"DELETE FROM taskiq_dead_letters WHERE {_CHOSEN}", (chosen,))  # noqa: S608
            conn.ring(*(queue_channel(row[0]) for row in rows))
            return len(rows)

        return await self._database().write(requeue)

    async def purge_dead(self, ids: Sequence[str] | None = None) -> int:
        if ids is None:
            return await self._database().write(lambda conn: conn.execute("DELETE FROM taskiq_dead_letters").rowcount)
        statement = f"DELETE FROM taskiq_dead_letters WHERE {_CHOSEN}"  # noqa: S608
        return await self._database().write(lambda conn: conn.execute(statement, (as_set(ids),)).rowcount)
