"""What waits in a queue, for who moves it to another broker."""

import sqlite3
import time
from collections.abc import Collection

from taskiq_core.abc.evacuation import Waiting
from taskiq_core_brokers_sqlite.schema import DELAYED, PARKED, READY
from taskiq_core_brokers_sqlite.statements import as_set

_COLUMNS = "SELECT task_id, body, queue, priority, {} FROM taskiq_messages"
_HERE = "queue = ? AND task_id NOT IN (SELECT value FROM json_each(?))"
# Each walks an index of what waits in its way.
_STATEMENTS = (
    f"{_COLUMNS.format('NULL')} WHERE state = {READY} AND {_HERE} ORDER BY priority DESC, id LIMIT ?",
    f"{_COLUMNS.format('NULL')} JOIN taskiq_parked ON message = id WHERE state = {PARKED} AND {_HERE} ORDER BY turn LIMIT ?",
    f"{_COLUMNS.format('taskiq_messages.due')} WHERE state = {DELAYED} AND {_HERE} ORDER BY due LIMIT ?",
)


def look(conn: sqlite3.Connection, queue: str, limit: int, shown: Collection[str]) -> list[Waiting]:
    """At most so many, but for those with these task ids; the ready first, in their order."""
    found: list[Waiting] = []
    now, known = time.time(), as_set(shown)
    for statement in _STATEMENTS:
        for task_id, body, name, priority, due in conn.execute(statement, (queue, known, limit - len(found))).fetchall():
            delay = due - now if due is not None and due > now else None
            found.append(Waiting(task_id, body, name, priority, delay))
    return found


def queues(conn: sqlite3.Connection) -> frozenset[str]:
    """Those with any message, and those that are paused."""
    rows = conn.execute("SELECT queue FROM taskiq_messages UNION SELECT queue FROM taskiq_paused").fetchall()
    return frozenset(row[0] for row in rows)
