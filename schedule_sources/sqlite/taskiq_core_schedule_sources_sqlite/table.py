"""The table of schedules and what is done with it, inside the caller's transaction."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from taskiq_core.schedule import ScheduledTask
from taskiq_core.stored_schedules import body_of
from taskiq_core_brokers_sqlite.connection import Connection

CHANGED: Final = "s"
"""Rung when schedules have been added, deleted or paused."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS taskiq_schedules (
        id INTEGER PRIMARY KEY, schedule_id TEXT NOT NULL UNIQUE, paused INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS taskiq_schedule_changes (only INTEGER PRIMARY KEY CHECK (only = 1), count INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO taskiq_schedule_changes VALUES (1, 0)",
)
_PUT = """INSERT INTO taskiq_schedules (schedule_id, paused, body) VALUES (?, ?, ?)
          ON CONFLICT (schedule_id) DO UPDATE SET paused = excluded.paused, body = excluded.body"""


def make_tables(conn: Connection) -> None:
    """Make what is missing."""
    for statement in _TABLES:
        conn.execute(statement)


def put(conn: Connection, schedules: Sequence[ScheduledTask]) -> None:
    """Add or replace.

    :raises TypeError: for an argument or a label that cannot be sent as data.
    """
    conn.executemany(_PUT, [(item.schedule_id, item.paused, body_of(item)) for item in schedules])
    _note_change(conn)


def drop(conn: Connection, schedule_ids: Sequence[str]) -> None:
    """Delete those that exist."""
    drop_quietly(conn, schedule_ids)
    _note_change(conn)


def drop_quietly(conn: Connection, schedule_ids: Sequence[str]) -> None:
    """Delete without waking anybody."""
    conn.executemany("DELETE FROM taskiq_schedules WHERE schedule_id = ?", [(item,) for item in schedule_ids])


def pause(conn: Connection, schedule_id: str, paused: bool) -> bool:
    """Pause or resume; False if there is no such schedule."""
    found = conn.execute("UPDATE taskiq_schedules SET paused = ? WHERE schedule_id = ?", (paused, schedule_id)).rowcount
    _note_change(conn)
    return bool(found)


def read_all(conn: sqlite3.Connection) -> tuple[int, list[tuple[int, bytes]]]:
    """The number of changes so far, and `paused` and body of every schedule in order of addition.

    The number is read first: a change in between is seen twice, not missed.
    """
    return changes(conn), conn.execute("SELECT paused, body FROM taskiq_schedules ORDER BY id").fetchall()


def changes(conn: sqlite3.Connection) -> int:
    """How often anything was changed."""
    return int(conn.execute("SELECT count FROM taskiq_schedule_changes").fetchone()[0])


def _note_change(conn: Connection) -> None:
    conn.execute("UPDATE taskiq_schedule_changes SET count = count + 1")
    conn.ring(CHANGED)
