"""Deleting what has expired, a little at a time, by whoever happens to write."""

import time

from taskiq_core_brokers_sqlite.connection import Connection

_PAUSE = 1.0
_CHUNK = 500

_KEYS = {
    "taskiq_results": "task_id",
    "taskiq_progress": "task_id",
    "taskiq_claims": "key",
    "taskiq_slots": "key, holder",
    "taskiq_times": "rowid",
    "taskiq_values": "key",
    "taskiq_counters": "key",
    "taskiq_joins": "key",
}
_STATEMENTS = tuple(
    f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires <= ? LIMIT {_CHUNK})"  # noqa: S608
    for table, key in _KEYS.items()
)


def expire_some(conn: Connection, now: float) -> None:
    """Delete a limited number of expired rows, about once a second, or at once again if there were more."""
    if time.monotonic() < conn.next_expiry:
        return
    most = max(conn.execute(statement, (now,)).rowcount for statement in _STATEMENTS)
    conn.next_expiry = time.monotonic() + (_PAUSE if most < _CHUNK else 0.0)
