"""Sending on the caller's own connection, as part of the caller's transaction."""

import sqlite3
from collections.abc import Awaitable, Callable, Generator, Sequence
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Final, cast

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.message import BrokerMessage
from taskiq_core.transactions import as_send_error, connection_of, driver_of, require_known, require_transaction, run_sync_of
from taskiq_core_brokers_sqlite.errors import is_busy
from taskiq_core_brokers_sqlite.sending import COLUMNS, CONFLICT, INSERT, rows_of
from taskiq_core_brokers_sqlite.statements import statements_for

_CONNECTIONS: Final = {"sqlite3": "in_transaction", "aiosqlite": "in_transaction", "sqlalchemy": "execute"}
_TAKEN: Final = "On SQLite within() takes a connection of sqlite3 or aiosqlite, or a connection or session of SQLAlchemy"
_WHICH_FILE: Final = "SELECT file FROM pragma_database_list WHERE name = 'main'"
_TOUCH: Final = "DELETE FROM taskiq_messages WHERE id IS NULL"
"""Changes nothing. Like every change it begins the transaction, where the driver does that by itself."""

_Steps = Generator[tuple[str, Sequence[Any]], Sequence[Any], None]
"""Statements with their parameters; each is answered with its rows."""


def enlist(connection: Any, path: str, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
    """Insert messages; they are there for others when, and only if, the caller commits. See `AsyncBroker.enlist`."""
    kind = driver_of(connection, _CONNECTIONS)
    require_known(kind, connection, _TAKEN)
    if kind == "aiosqlite":
        return _carry_out_async(_steps(path, messages, lambda: connection.in_transaction), connection.execute_fetchall)
    if kind == "sqlite3":
        steps = _steps(path, messages, lambda: connection.in_transaction)
        _carry_out(steps, lambda statement, parameters: connection.execute(statement, parameters).fetchall())
        return None
    if iscoroutinefunction(getattr(connection, "execute", None)):
        return run_sync_of(connection)(_by_sqlalchemy, path, messages)
    _by_sqlalchemy(connection, path, messages)
    return None


def _by_sqlalchemy(connection: Any, path: str, messages: Sequence[BrokerMessage]) -> None:
    connection = connection_of(connection)

    def execute(statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
        result = connection.exec_driver_sql(statement, tuple(parameters))
        rows: Sequence[Any] = result.fetchall() if result.returns_rows else ()
        return rows

    driver = connection.connection.driver_connection
    _carry_out(_steps(path, messages, lambda: driver.in_transaction), execute)


def _steps(path: str, messages: Sequence[BrokerMessage], has_transaction: Callable[[], bool]) -> _Steps:
    rows = rows_of(messages)
    _require_file(path, (yield _WHICH_FILE, ())[0])
    if not has_transaction():
        yield _TOUCH, ()
        require_transaction(has_transaction())
    for statement in statements_for(INSERT, COLUMNS, rows, CONFLICT):  # noqa: UP028 - answers are not for that generator
        yield statement


def _carry_out(steps: _Steps, execute: Callable[[str, Sequence[Any]], Sequence[Any]]) -> None:
    rows: Sequence[Any] | None = None
    with as_send_error(_sentence):
        while True:
            try:
                statement = steps.send(cast("Sequence[Any]", rows))
            except StopIteration:
                return
            rows = execute(*statement)


async def _carry_out_async(steps: _Steps, execute: Callable[[str, Sequence[Any]], Awaitable[Sequence[Any]]]) -> None:
    rows: Sequence[Any] | None = None
    with as_send_error(_sentence):
        while True:
            try:
                statement = steps.send(cast("Sequence[Any]", rows))
            except StopIteration:
                return
            rows = await execute(*statement)


def _require_file(path: str, row: Any) -> None:
    """The same file, whatever factory for rows the connection has."""
    file: str = next(iter(cast("dict[str, str]", row).values())) if isinstance(row, dict) else row[0]
    if not (file and Path(file).exists() and Path(path).exists() and Path(path).samefile(file)):
        other = file or "a database in memory"
        reason = f"The connection given to within() is to {other}, and the queue is in {path}: use one file."
        raise ConfigurationError(reason=reason)


def _sentence(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"
    cause = getattr(error, "orig", None) or error
    if "no such table" in said:
        return f"its file has no tables of this broker: start the broker once, which makes them ({said})"
    if isinstance(cause, sqlite3.Error) and is_busy(cause):
        return (
            "others write to the file. Raise the timeout of the connection; if the transaction has read before, begin it with "
            f"BEGIN IMMEDIATE, as it must not go on from what has changed since ({said})"
        )
    return said
