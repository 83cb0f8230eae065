"""What one would write by hand over SQLite: the same journal, the same durability, and what a queue cannot do without.

That is: named queues, priorities, leases by which the work of a dead holder is found, and results that expire.
"""

import asyncio
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

import msgpack as _untyped_msgpack

from benchmarks.clock import Time, now, since

msgpack: Any = _untyped_msgpack  # the package ships no types

_TABLES = (
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, priority INTEGER NOT NULL,
        lease_until REAL, body BLOB NOT NULL)""",
    "CREATE INDEX ready ON messages (queue, priority DESC, id) WHERE lease_until IS NULL",
    "CREATE INDEX held ON messages (lease_until) WHERE lease_until IS NOT NULL",
    "CREATE TABLE results (task_id TEXT PRIMARY KEY, expires REAL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX expiring ON results (expires) WHERE expires IS NOT NULL",
)
_INSERT = "INSERT INTO messages (task_id, queue, priority, body) VALUES (?, 'default', 5, ?)"
_CLAIM = """UPDATE messages SET lease_until = ? WHERE id IN (
    SELECT id FROM messages WHERE queue = 'default' AND lease_until IS NULL ORDER BY priority DESC, id LIMIT ?)
    RETURNING id, body"""
_BATCH = 100


@contextmanager
def database() -> Generator[sqlite3.Connection]:
    """A new file with the tables, for the length of the block."""
    with TemporaryDirectory() as folder, closing(sqlite3.connect(f"{folder}/raw.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=NORMAL")
        for statement in _TABLES:
            conn.execute(statement)
        yield conn


def rows(count: int) -> Iterator[tuple[str, bytes]]:
    """Ids and bodies like those of the framework, made while they are consumed."""
    return ((f"{i:032x}", msgpack.packb([1, f"{i:032x}", "noop", {}, [], {}])) for i in range(count))


def insert_singly(conn: sqlite3.Connection, count: int) -> Time:
    """One transaction for each row."""
    begin = now()
    for row in rows(count):
        conn.execute(_INSERT, row)
    return since(begin)


def insert_in_batches(conn: sqlite3.Connection, count: int) -> Time:
    """`executemany` with 100 rows a transaction."""
    begin = now()
    source = rows(count)
    while batch := list(islice(source, _BATCH)):
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(_INSERT, batch)
        conn.execute("COMMIT")
    return since(begin)


def drain(conn: sqlite3.Connection) -> Time:
    """Claim, call, store results and delete, in two transactions for each 100 rows."""
    return asyncio.run(_drain(conn))


async def _drain(conn: sqlite3.Connection) -> Time:
    async def noop() -> None:
        return None

    tasks = {"noop": noop}
    begin = now()
    while claimed := _claim(conn):
        expires = time.time() + 86400
        results: list[tuple[str, float, bytes]] = []
        for _, body in claimed:
            _, task_id, name, labels, args, kwargs = msgpack.unpackb(body)
            value = await tasks[name](*args, **kwargs)
            results.append((task_id, expires, msgpack.packb([1, False, value, 0.0, labels, None, None])))
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany("REPLACE INTO results VALUES (?, ?, ?)", results)
        conn.executemany("DELETE FROM messages WHERE id = ?", [row[:1] for row in claimed])
        conn.execute("COMMIT")
    return since(begin)


def _claim(conn: sqlite3.Connection) -> list[tuple[int, bytes]]:
    conn.execute("BEGIN IMMEDIATE")
    claimed = conn.execute(_CLAIM, (time.time() + 60, _BATCH)).fetchall()
    conn.execute("COMMIT")
    return claimed
