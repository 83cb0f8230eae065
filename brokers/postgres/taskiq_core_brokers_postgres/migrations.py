"""Bringing a database to the version that this release knows."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from taskiq_core_brokers_postgres.database import as_one_step, in_schema
from taskiq_core_brokers_postgres.errors import PostgresError, UnusablePostgresError, lost
from taskiq_core_brokers_postgres.location import Location
from taskiq_core_brokers_postgres.schema import MIGRATIONS

logger = logging.getLogger("taskiq.postgres")

VERSION = len(MIGRATIONS)

_LONGEST = 600.0
"""Seconds for all steps: changes of large tables take longer than any other statement."""
_LOCK_WAIT = 120.0
"""Seconds for which others wait who start meanwhile."""
_TELL = 1.0
"""Seconds after which they tell that they wait."""
_LOOK = 10.0
"""Seconds for a look at the version."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('taskiq migrations ' || $1, 0))"
# Asked of the catalogue's tables: functions such as to_regclass answer from a cache that waiting for a lock does not refresh.
_HAS_SCHEMA = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)"
_HAS_VERSIONS = """SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace AS space ON space.oid = relnamespace
    WHERE nspname = $1 AND relname = 'schema_versions')"""


async def upgrade(connection: Any, location: Location) -> int:
    """Carry out what is missing, in one transaction; returns how many steps. Any number of processes may call it at once.

    :raises PostgresError: if a newer release made the tables, or somebody else is at it for too long. Then the connection ends.
    """
    async with _answering(_LOOK, location):
        found = await stored_version(connection, location.schema)
    if found == VERSION:
        return 0
    async with _answering(_LONGEST, location), as_one_step(connection):
        await connection.execute(f"SET LOCAL statement_timeout = '{_LONGEST}s'; SET LOCAL lock_timeout = '{_LOCK_WAIT}s'")
        await _alone(connection, location)
        begin = await stored_version(connection, location.schema)
        _refuse_newer(begin, location)
        if begin == 0:
            # Without the right to create schemas the one that an administrator made will do.
            if not await connection.fetchval(_HAS_SCHEMA, location.schema):
                await connection.execute(f'CREATE SCHEMA "{location.schema}"')
            await connection.execute(
                f'CREATE TABLE IF NOT EXISTS "{location.schema}".schema_versions '
                "(version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now(), "
                "installation text NOT NULL DEFAULT gen_random_uuid()::text)"
            )
        for number in range(begin, VERSION):
            for statement in MIGRATIONS[number]:
                await connection.execute(in_schema(statement, location.schema))
            await connection.execute(
                f'INSERT INTO "{location.schema}".schema_versions (version) VALUES ($1)',
                number + 1,
            )
        return VERSION - begin


async def require_version(connection: Any, location: Location) -> None:
    """For those who upgrade by hand.

    :raises PostgresError: if the tables are older or newer than this release.
    """
    async with _answering(_LOOK, location):
        found = await stored_version(connection, location.schema)
    _refuse_newer(found, location)
    if found < VERSION:
        reason = (
            f"The schema {location.schema!r} has {f'tables of version {found}' if found else 'no tables'}, "
            f"this release needs version {VERSION}: "
            "run `taskiq db upgrade` as a user who may change them, or start without migrate=false."
        )
        raise UnusablePostgresError(reason=reason)


async def stored_version(connection: Any, schema: str) -> int:
    """The version of the tables; 0 where there are none."""
    if not await connection.fetchval(_HAS_VERSIONS, schema):
        return 0
    return int(await connection.fetchval(f'SELECT coalesce(max(version), 0) FROM "{schema}".schema_versions'))


def _refuse_newer(version: int, location: Location) -> None:
    if version > VERSION:
        reason = (
            f"The schema {location.schema!r} has tables of version {version}, this release knows version {VERSION}: "
            "upgrade taskiq-core-brokers-postgres, or use another schema."
        )
        raise UnusablePostgresError(reason=reason)


@asynccontextmanager
async def _answering(seconds: float, location: Location) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise lost(location.server, f"no answer for {seconds:g} s", certain=False) from None


async def _alone(connection: Any, location: Location) -> None:
    place = location.schema, location.server
    what = "Waiting for another process that makes or upgrades the tables of the schema %r in PostgreSQL at %s"
    telling = asyncio.get_running_loop().call_later(_TELL, logger.warning, what, *place)
    try:
        await connection.execute(_LOCK, location.schema)
    except asyncpg.LockNotAvailableError as error:
        reason = (
            f"Another process has been making or upgrading the tables of the schema {location.schema!r} in PostgreSQL at "
            f"{location.server} for more than {_LOCK_WAIT:g} s: wait until it is done, or end it (pg_stat_activity shows it)."
        )
        raise PostgresError(reason=reason, passing=True) from error
    finally:
        telling.cancel()
