"""Sending on the caller's own connection, as part of the caller's transaction."""

from collections.abc import Awaitable, Sequence
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, Final

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.message import BrokerMessage
from taskiq_core.transactions import as_send_error, connection_of, driver_of, require_known, require_transaction, run_sync_of
from taskiq_core_brokers_postgres.database import in_schema
from taskiq_core_brokers_postgres.location import Location
from taskiq_core_brokers_postgres.producer import INSERT, columns_of

_COLUMNS: Final = {
    "ids": "text[]",
    "queues": "text[]",
    "priorities": "smallint[]",
    "delays": "float8[]",
    "bodies": "bytea[]",
    "installation": "text",
}
_BELOW: Final = {"asyncpg": "is_in_transaction", "psycopg": "autocommit", "psycopg2": "autocommit"}
_CONNECTIONS: Final = {"asyncpg": "is_in_transaction", "psycopg": "autocommit", "sqlalchemy": "execute"}
_TAKEN: Final = "On PostgreSQL within() takes a connection of asyncpg or psycopg 3, or a connection or session of SQLAlchemy"
_NO_TABLES: Final = {"42P01", "3F000"}
_ELSEWHERE: Final = {"23502"}
"""No place was given to the message."""
_IDLE: Final = 0
"""What psycopg calls a connection without a transaction."""


def enlist(
    connection: Any, location: Location, installation: str | None, messages: Sequence[BrokerMessage]
) -> Awaitable[None] | None:
    """Insert messages; they are there for others when, and only if, the caller commits. See `AsyncBroker.enlist`."""
    columns = (*columns_of(messages), installation)
    kind = driver_of(connection, _CONNECTIONS)
    require_known(kind, connection, _TAKEN)
    if kind == "asyncpg":
        return _by_asyncpg(connection, in_schema(INSERT, location.schema), columns)
    named = dict(zip(_COLUMNS, columns, strict=True))
    is_async = iscoroutinefunction(getattr(connection, "execute", None))
    if kind == "psycopg":
        statement = _renamed(location, "%({})s::{}")
        return (_by_psycopg_async if is_async else _by_psycopg)(connection, statement, named)
    statement = _renamed(location, "CAST(:{} AS {})")
    return (_by_sqlalchemy_async if is_async else _by_sqlalchemy)(connection, statement, named)


async def _by_asyncpg(connection: Any, statement: str, columns: Sequence[Any]) -> None:
    require_transaction(connection.is_in_transaction())
    with as_send_error(_sentence):
        await connection.execute(statement, *columns)


def _by_psycopg(connection: Any, statement: str, columns: dict[str, Any]) -> None:
    require_transaction(not connection.autocommit or connection.info.transaction_status != _IDLE)
    with as_send_error(_sentence):
        connection.execute(statement, columns)


async def _by_psycopg_async(connection: Any, statement: str, columns: dict[str, Any]) -> None:
    require_transaction(not connection.autocommit or connection.info.transaction_status != _IDLE)
    with as_send_error(_sentence):
        await connection.execute(statement, columns)


async def _by_sqlalchemy_async(connection: Any, statement: str, columns: dict[str, Any]) -> None:
    await run_sync_of(connection)(_by_sqlalchemy, statement, columns)


def _by_sqlalchemy(connection: Any, statement: str, columns: dict[str, Any]) -> None:
    text = import_module("sqlalchemy").text  # which the caller has
    with as_send_error(_sentence):
        connection = connection_of(connection)
        driver = connection.connection.driver_connection
        if not _has_transaction(driver):  # it begins with the first statement
            connection.execute(text("SELECT 1"))
            require_transaction(_has_transaction(driver))
        connection.execute(text(statement), columns)


def _has_transaction(driver: Any) -> bool:
    kind = driver_of(driver, _BELOW)
    if kind == "asyncpg":
        return bool(driver.is_in_transaction())
    if kind is not None:
        return bool(driver.info.transaction_status != _IDLE)
    reason = f"Below SQLAlchemy within() knows asyncpg and psycopg, not {type(driver).__module__}."
    raise ConfigurationError(reason=reason)


def _sentence(error: Exception) -> str:
    code = getattr(getattr(error, "orig", error), "sqlstate", None)
    if code in _ELSEWHERE:
        reason = "The connection given to within() is to another database than the broker's: use one database."
        raise ConfigurationError(reason=reason) from error
    if code in _NO_TABLES:
        return "its database has no tables of this broker: it is another database, or the broker was never started there"
    return f"{type(error).__name__}: {error}"


def _renamed(location: Location, form: str) -> str:
    """The statement with named parameters."""
    statement = in_schema(INSERT, location.schema)
    for number, (name, array) in enumerate(_COLUMNS.items(), 1):
        statement = statement.replace(f"${number}::{array}", form.format(name, array))
    return statement
