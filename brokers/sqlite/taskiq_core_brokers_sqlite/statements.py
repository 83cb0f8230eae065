"""Statements over many rows.

SQLite's Python module gives up the interpreter lock at every step, and a busy event loop then keeps it for milliseconds:
one statement for a hundred rows is several times faster beside a working loop than a hundred statements.
"""

import json
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from typing import Any

_ROWS = 100


def insert_rows(conn: sqlite3.Connection, head: str, columns: int, rows: Sequence[Sequence[Any]], tail: str = "") -> int:
    """`head VALUES (...), ... tail` for all rows; returns how many rows were changed."""
    return sum(conn.execute(*statement).rowcount for statement in statements_for(head, columns, rows, tail))


def statements_for(head: str, columns: int, rows: Sequence[Sequence[Any]], tail: str = "") -> Generator[tuple[str, list[Any]]]:
    """The statements of `insert_rows` with their parameters."""
    row = f"({', '.join('?' * columns)})"
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        yield f"{head} VALUES {', '.join([row] * len(part))} {tail}", [value for values in part for value in values]


def as_set(values: Iterable[int | str]) -> str:
    """A parameter for `... IN (SELECT value FROM json_each(?))`: any number of values, one cached statement."""
    return json.dumps(list(values))
