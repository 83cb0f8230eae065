"""The tables, and how a file gets them.

All names start with `taskiq_`, so that the file may hold an application's own tables too. A message is `READY`, `DELAYED`
until `due`, `PARKED` (then its place in the line is in `taskiq_parked`), or `HELD`: then `hold` names the row of `taskiq_holds`
with its lease. One hold covers all messages that were claimed together, so that claiming and renewing do not touch one lease
per message. Consumers say in `taskiq_consumers` what queues they receive from, and until when they are taken for alive.

States and holds are numbers that always take the same space: a row whose size does not change is overwritten in place, and
claiming a message of a megabyte writes one page.
"""

import random
import sqlite3
from typing import Final

from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.errors import DatabaseError

SCHEMA_VERSION: Final = 4

READY: Final = 2
DELAYED: Final = 3
HELD: Final = 4
PARKED: Final = 5
NO_HOLD: Final = -(1 << 62)

_TABLES = (
    f"""CREATE TABLE taskiq_messages (
        id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL,
        priority INTEGER NOT NULL, state INTEGER NOT NULL, due REAL,
        hold INTEGER NOT NULL DEFAULT {NO_HOLD}, attempt INTEGER NOT NULL DEFAULT 0,
        deaths INTEGER NOT NULL DEFAULT 0, accused INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)""",
    f"CREATE INDEX taskiq_ready ON taskiq_messages (queue, priority DESC, id) WHERE state = {READY}",
    f"CREATE INDEX taskiq_delayed ON taskiq_messages (due) WHERE state = {DELAYED}",
    f"CREATE INDEX taskiq_held ON taskiq_messages (hold) WHERE state = {HELD}",
    "CREATE TABLE taskiq_holds (id INTEGER PRIMARY KEY, consumer TEXT NOT NULL, lease_until REAL NOT NULL)",
    "CREATE TABLE taskiq_consumers (consumer TEXT PRIMARY KEY, queues TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE taskiq_parked (
        turn INTEGER PRIMARY KEY, message INTEGER NOT NULL UNIQUE, text TEXT NOT NULL, delay REAL NOT NULL, due REAL)""",
    "CREATE INDEX taskiq_parked_line ON taskiq_parked (text, turn)",
    "CREATE INDEX taskiq_parked_due ON taskiq_parked (due) WHERE due IS NOT NULL",
    "CREATE TABLE taskiq_paused (queue TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE taskiq_dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL, queue TEXT NOT NULL, priority INTEGER NOT NULL,
        attempts INTEGER NOT NULL, reason TEXT NOT NULL, died_at REAL NOT NULL, detail BLOB, body BLOB NOT NULL)""",
    "CREATE INDEX taskiq_dead_by_queue ON taskiq_dead_letters (queue, id)",
    "CREATE INDEX taskiq_dead_by_age ON taskiq_dead_letters (died_at)",
    "CREATE TABLE taskiq_results (task_id TEXT PRIMARY KEY, expires REAL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX taskiq_results_expiry ON taskiq_results (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE taskiq_progress (task_id TEXT PRIMARY KEY, expires REAL NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX taskiq_progress_expiry ON taskiq_progress (expires)",
    """CREATE TABLE taskiq_records (
        task_id TEXT PRIMARY KEY, task_name TEXT NOT NULL, status TEXT NOT NULL, first_at REAL NOT NULL,
        finished_at REAL, body BLOB NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX taskiq_records_by_age ON taskiq_records (first_at, task_id)",
    "CREATE TABLE taskiq_claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE taskiq_slots (
        key TEXT NOT NULL, holder TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (key, holder)) WITHOUT ROWID""",
    """CREATE TABLE taskiq_times (
        key TEXT NOT NULL, kind INTEGER NOT NULL, at REAL NOT NULL, terms BLOB NOT NULL, expires REAL NOT NULL)""",
    "CREATE INDEX taskiq_times_in_order ON taskiq_times (key, kind, at)",
    "CREATE TABLE taskiq_values (key TEXT PRIMARY KEY, value BLOB NOT NULL, expires REAL) WITHOUT ROWID",
    "CREATE INDEX taskiq_values_expiry ON taskiq_values (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE taskiq_counters (key TEXT PRIMARY KEY, value INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE taskiq_joins (
        key TEXT PRIMARY KEY, arrived INTEGER NOT NULL, complete INTEGER NOT NULL, expires REAL NOT NULL) WITHOUT ROWID""",
    "CREATE TABLE taskiq_arrivals (key TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (key, member)) WITHOUT ROWID",
    "CREATE TRIGGER taskiq_join_gone AFTER DELETE ON taskiq_joins BEGIN DELETE FROM taskiq_arrivals WHERE key = old.key; END",
    *(
        f"CREATE INDEX taskiq_{name}_expiry ON taskiq_{name} (expires)"
        for name in ("claims", "slots", "times", "counters", "joins")
    ),
)


def forgotten(consumer: str) -> str:
    """Under what name the holds stand whose messages `consumer` has forgotten: the end of their lease is nobody's death."""
    return f"~{consumer}"


def new_hold() -> int:
    """A name for a hold that nobody else has."""
    return random.getrandbits(62) | 1 << 61


def use_wal(conn: Connection) -> None:
    """Switch the file to write-ahead logging; it remembers.

    :raises sqlite3.Error: "busy", while another process does the same.
    """
    conn.execute("PRAGMA journal_mode=WAL")


def migrate(conn: Connection) -> None:
    """Make the tables if they are missing, inside the caller's transaction, so that any number of processes may start at once.

    :raises DatabaseError: if another release made them.
    """
    version = stored_version(conn)
    if version == SCHEMA_VERSION:
        return
    if version is not None:
        reason = (
            f"The database has tables of version {version}, this release knows version {SCHEMA_VERSION}: "
            "upgrade taskiq-core-brokers-sqlite where it is older, or use another file."
        )
        raise DatabaseError(reason=reason, permanent=True)
    conn.execute("CREATE TABLE taskiq_schema (version INTEGER NOT NULL)")
    conn.execute("INSERT INTO taskiq_schema VALUES (?)", (SCHEMA_VERSION,))
    for statement in _TABLES:
        conn.execute(statement)


def stored_version(conn: sqlite3.Connection) -> int | None:
    """The version of the tables in the file, None where there are none."""
    if conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'taskiq_schema'").fetchone() is None:
        return None
    return int(conn.execute("SELECT version FROM taskiq_schema").fetchone()[0])
