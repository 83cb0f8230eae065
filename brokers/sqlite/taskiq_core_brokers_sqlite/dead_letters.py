"""Dead letters: rows whose ids grow as they die."""

import sqlite3
import time
from collections.abc import Mapping, Sequence

from taskiq_core.delivery import DeadLetter, Settlement
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.receipt import Receipt
from taskiq_core_brokers_sqlite.schema import READY
from taskiq_core_brokers_sqlite.statements import as_set

_SELECT = "SELECT id, body, queue, reason, died_at, attempts, task_id, detail FROM taskiq_dead_letters"
_CHOSEN = "id IN (SELECT CAST(value AS INTEGER) FROM json_each(?))"
_ANY_ID = (1 << 63) - 1
_CHUNK = 1000

_BURY = """INSERT INTO taskiq_dead_letters (task_id, queue, priority, attempts, reason, died_at, detail, body)
           SELECT task_id, queue, priority, attempt, ?, ?, ?, coalesce(?, body)
           FROM taskiq_messages WHERE id = ? AND hold = ?"""
_RISE = f"""INSERT INTO taskiq_messages (task_id, queue, priority, state, body)
            SELECT task_id, queue, priority, {READY}, body FROM taskiq_dead_letters WHERE id = CAST(? AS INTEGER)
            ON CONFLICT (task_id) DO NOTHING"""  # noqa: S608


def bury_letter(conn: Connection, item: Settlement) -> None:
    """Copy a message, if it is still held so."""
    receipt: Receipt = item.delivery.receipt
    told = (item.reason or "rejected", time.time(), item.detail, item.body)
    conn.execute(_BURY, (*told, receipt.id, receipt.hold))


def page(conn: sqlite3.Connection, queue: str | None, limit: int, before: str | None, ttl: float | None) -> list[DeadLetter]:
    """Newest first, of those that died before the letter with that id, and at most `ttl` seconds ago."""
    end, oldest = _ANY_ID if before is None else before, _oldest(ttl)
    where, parameters = ("", (end, oldest, limit)) if queue is None else ("AND queue = ?", (end, oldest, queue, limit))
    statement = f"{_SELECT} WHERE id < CAST(? AS INTEGER) AND died_at >= ? {where} ORDER BY id DESC LIMIT ?"
    return [DeadLetter(str(row[0]), *row[1:]) for row in conn.execute(statement, parameters).fetchall()]


def find(conn: sqlite3.Connection, ids: Sequence[str], ttl: float | None) -> list[DeadLetter]:
    """Those there are, in this order, of the last `ttl` seconds."""
    rows = conn.execute(f"{_SELECT} WHERE {_CHOSEN} AND died_at >= ?", (as_set(ids), _oldest(ttl))).fetchall()
    found = {str(row[0]): DeadLetter(str(row[0]), *row[1:]) for row in rows}
    return [found[item] for item in ids if item in found]


def requeue(conn: Connection, ids: Sequence[str], bodies: Mapping[str, bytes], ttl: float | None) -> int:
    """Put letters of the last `ttl` seconds back as if new, some with new bodies; returns how many are back.

    A letter whose task is queued again already stays, and so do all but the newest of one task.
    """
    newest = {letter.task_id: letter.id for letter in sorted(find(conn, ids, ttl), key=lambda letter: int(letter.id))}
    ids = sorted(newest.values(), key=int)
    mended = [(bodies[item], item) for item in ids if item in bodies]
    conn.executemany("UPDATE taskiq_dead_letters SET body = ? WHERE id = CAST(? AS INTEGER)", mended)
    risen = as_set([item for item in ids if conn.execute(_RISE, (item,)).rowcount])
    rows = conn.execute(f"DELETE FROM taskiq_dead_letters WHERE {_CHOSEN} RETURNING queue", (risen,)).fetchall()  # noqa: S608
    conn.ring(*(queue_channel(row[0]) for row in rows))
    return len(rows)


def purge(conn: Connection, ids: Sequence[str] | None, older_than: float | None) -> int:
    """Delete letters: these or all, but only those that died more than `older_than` seconds ago, if that is given."""
    chosen, parameters = ("1", ()) if ids is None else (_CHOSEN, (as_set(ids),))
    if older_than is not None:
        chosen, parameters = f"{chosen} AND died_at < ?", (*parameters, time.time() - older_than)
    return conn.execute(f"DELETE FROM taskiq_dead_letters WHERE {chosen}", parameters).rowcount  # noqa: S608


def _oldest(ttl: float | None) -> float:
    return 0.0 if ttl is None else time.time() - ttl


def expire(conn: Connection, ttl: float) -> None:
    """Delete letters older than `ttl` seconds, not too many at a time."""
    old = f"SELECT id FROM taskiq_dead_letters WHERE died_at < ? ORDER BY died_at LIMIT {_CHUNK}"  # noqa: S608
    conn.execute(f"DELETE FROM taskiq_dead_letters WHERE id IN ({old})", (time.time() - ttl,))  # noqa: S608
