"""Sending on the caller's own connection, as part of the caller's transaction."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from taskiq_core.exceptions import ConfigurationError, MessageRefusedError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_postgres.database import in_schema
from taskiq_core_brokers_postgres.location import Location
from taskiq_core_brokers_postgres.producer import INSERT, columns_of

_ARRAYS = ("text[]", "text[]", "smallint[]", "float8[]", "bytea[]")
_NAMES = ("ids", "queues", "priorities", "delays", "bodies")


async def send_within(connection: Any, location: Location, messages: Sequence[BrokerMessage]) -> None:
    """Insert messages; they are there for others when, and only if, the caller commits.

    :raises SendTaskError: for what the database says; the caller's transaction has failed then.
    :raises ConfigurationError: for a connection of an unknown kind, or one that would commit each statement by itself.
    """
    statement, columns = in_schema(INSERT, location.schema), columns_of(messages)
    kind = type(connection).__module__.partition(".")[0]
    if kind not in {"asyncpg", "psycopg", "sqlalchemy"}:
        reason = f"within() takes an asyncpg, psycopg or SQLAlchemy connection with async methods, not {connection!r}."
        raise ConfigurationError(reason=reason)
    if kind == "asyncpg" and not connection.is_in_transaction():
        reason = "The connection given to within() has no transaction: begin one, or send without within()."
        raise ConfigurationError(reason=reason)
    try:
        if kind == "asyncpg":
            await connection.execute(statement, *columns)
        elif kind == "psycopg":
            await connection.execute(_renamed(statement, "%({})s::{}"), dict(zip(_NAMES, columns, strict=True)))
        else:
            text = import_module("sqlalchemy").text  # which the caller has
            await connection.execute(text(_renamed(statement, "CAST(:{} AS {})")), dict(zip(_NAMES, columns, strict=True)))
    except (TypeError, ValueError) as error:
        raise MessageRefusedError(reason=f"it cannot be stored: {error}") from error
    except Exception as error:
        raise SendTaskError(reason=f"{type(error).__name__}: {error}", outcome="refused") from error


def _renamed(statement: str, form: str) -> str:
    """The statement with named parameters."""
    for number, (name, array) in enumerate(zip(_NAMES, _ARRAYS, strict=True), 1):
        statement = statement.replace(f"${number}::{array}", form.format(name, array))
    return statement
