"""Statements over many rows.

SQLite's Python module gives up the interpreter lock at every step, and a busy event loop then keeps it for milliseconds:
one statement for a hundred rows is several times faster beside a working loop than a hundred statements.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

_ROWS = 100


def insert_rows(conn: sqlite3.Connection, head: str, columns: int, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
    """`head VALUES (...), ... tail` for all rows; returns how many rows were changed."""
    changed, row = 0, f"({', '.join('?' * columns)})"
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        statement = f"{head} VALUES {', '.join([row] * len(part))} {tail}"
        changed += conn.execute(statement, [value for values in part for value in values]).rowcount
    return changed


def as_set(values: Iterable[int | str]) -> str:
    """A parameter for `... IN (SELECT value FROM json_each(?))`: any number of values, one cached statement."""
    return json.dumps(list(values))
