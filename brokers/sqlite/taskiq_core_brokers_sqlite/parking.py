"""Parked messages: one line for each text, whose first has a time to come back by itself.

A message that is parked is in state `PARKED`, and its place in the line is a row of `taskiq_parked`. Only the first of a line
has a time (`due`).
"""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence

from taskiq_core.delivery import Settlement
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.receipt import Receipt
from taskiq_core_brokers_sqlite.schema import NO_HOLD, PARKED, READY
from taskiq_core_brokers_sqlite.statements import as_set

_PARK = f"""UPDATE taskiq_messages SET state = {PARKED}, hold = {NO_HOLD}, body = coalesce(?, body)
            WHERE id = ? AND hold = ?"""  # noqa: S608
_STAND_IN_LINE = """INSERT INTO taskiq_parked (message, text, delay, due)
                    SELECT ?1, ?2, ?3, CASE WHEN EXISTS (SELECT 1 FROM taskiq_parked WHERE text = ?2) THEN NULL ELSE ?4 END"""
_LEAVE = "DELETE FROM taskiq_parked WHERE message IN (SELECT value FROM json_each(?)) RETURNING text"
_MOVE_UP = """UPDATE taskiq_parked SET due = ? + delay WHERE due IS NULL AND turn IN (
                SELECT (SELECT min(turn) FROM taskiq_parked WHERE text = value) FROM json_each(?))"""
_SERVED = """SELECT value FROM taskiq_consumers, json_each(queues) WHERE until > ? EXCEPT SELECT queue FROM taskiq_paused"""
_LINE = "SELECT message, queue FROM taskiq_parked JOIN taskiq_messages ON id = message WHERE text = ?"
_ELDEST = f"{_LINE} ORDER BY turn LIMIT ?"
_ELDEST_SERVED = f"{_LINE} AND queue IN (SELECT value FROM json_each(?)) ORDER BY turn LIMIT ?"  # noqa: S608
_WAKE = f"""UPDATE taskiq_messages SET id = moved.new, state = {READY}
            FROM (SELECT json_extract(value, '$[0]') AS old, json_extract(value, '$[1]') AS new FROM json_each(?)) AS moved
            WHERE taskiq_messages.id = moved.old RETURNING queue"""  # noqa: S608


def park(conn: Connection, item: Settlement, text: str, delay: float) -> None:
    """Put a message at the end of a line, if it is still held so."""
    receipt: Receipt = item.delivery.receipt
    if conn.execute(_PARK, (item.body, receipt.id, receipt.hold)).rowcount:
        conn.execute(_STAND_IN_LINE, (receipt.id, text, delay, time.time() + delay))


def anybody_waits(conn: sqlite3.Connection, counts: Mapping[str, int]) -> bool:
    """Whether `unpark` would find somebody."""
    texts = as_set(text for text, count in counts.items() if count > 0)
    statement = "SELECT EXISTS (SELECT 1 FROM taskiq_parked WHERE text IN (SELECT value FROM json_each(?)))"
    return bool(conn.execute(statement, (texts,)).fetchone()[0])


def unpark(conn: Connection, counts: Mapping[str, int]) -> None:
    """Make ready up to so many of each line, the eldest first of those that somebody can take, then of the others."""
    served = {row[0] for row in conn.execute(_SERVED, (time.time(),)).fetchall()}
    called: list[int] = []
    for text, count in counts.items():
        limit = max(0, count)
        eldest = conn.execute(_ELDEST, (text, limit)).fetchall()
        if any(queue not in served for _, queue in eldest):
            chosen = conn.execute(_ELDEST_SERVED, (text, as_set(served), limit)).fetchall()
            eldest = chosen + [row for row in eldest if row not in chosen][: limit - len(chosen)]
        called += [row[0] for row in eldest]
    _wake(conn, called)


def unpark_all(conn: Connection, prefix: str) -> int:
    """Make ready all lines whose text begins so; returns how many."""
    statement = "SELECT message FROM taskiq_parked WHERE substr(text, 1, length(?1)) = ?1 ORDER BY turn"
    called = conn.execute(statement, (prefix,)).fetchall()
    _wake(conn, [row[0] for row in called])
    return len(called)


def wake_due(conn: Connection, now: float) -> None:
    """Make ready those whose time has come."""
    due = conn.execute("SELECT message FROM taskiq_parked WHERE due <= ?", (now,)).fetchall()
    if due:
        _wake(conn, [row[0] for row in due])


def leave_line(conn: Connection, ids: Sequence[int]) -> None:
    """These messages are parked no more; who is first then has its time from now."""
    texts = {row[0] for row in conn.execute(_LEAVE, (as_set(ids),)).fetchall()}
    conn.execute(_MOVE_UP, (time.time(), as_set(texts)))


def _wake(conn: Connection, ids: Sequence[int]) -> None:
    """Messages of one priority come in the order of their ids, and these before all others: they have waited already."""
    if not ids:
        return
    leave_line(conn, ids)
    begin = conn.execute("SELECT min(id) FROM taskiq_messages").fetchone()[0] - len(ids)
    moved = json.dumps(list(zip(ids, range(begin, begin + len(ids)), strict=True)))
    queues = {row[0] for row in conn.execute(_WAKE, (moved,)).fetchall()}
    conn.ring(*(queue_channel(queue) for queue in queues))
