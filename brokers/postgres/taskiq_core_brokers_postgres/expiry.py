"""Rows that go by themselves, in small batches: none keeps a lock for long, and vacuuming follows."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
import logging
import os
import random
import time

from taskiq_core.background import BackgroundTask
from taskiq_core.outage import Outage
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.schema import EXPIRING

logger = logging.getLogger("taskiq.postgres")

_CHUNK = 1000
_INTERVAL = 30.0
"""Seconds between two looks, about."""

# What somebody else is just deleting is passed over.
_EXPIRE = f"""WITH over AS MATERIALIZED (
        SELECT ctid AS spot FROM taskiq.{{0}} WHERE expires <= {{1}} ORDER BY expires LIMIT {_CHUNK} FOR UPDATE SKIP LOCKED),
    gone AS (DELETE FROM taskiq.{{0}} AS old USING over WHERE old.ctid = over.spot RETURNING 1)
    SELECT count(*) FROM gone"""


class Expiry:
    """Deletes what has expired, beside everything else; every process that keeps results does it now and then."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: BackgroundTask | None = None
        self._process = 0

    def start(self) -> None:
        """From now on."""
        self._process = os.getpid()
        self._task = BackgroundTask(self._run, "taskiq-postgres-expiry")

    async def close(self) -> None:
        """No more."""
        task, self._task = self._task, None
        if task is not None and self._process == os.getpid():
            await task.wait(0)

    async def _run(self) -> None:
        outage = Outage(logger, "What has expired in PostgreSQL is deleted again")
        while True:
            await asyncio.sleep(random.uniform(_INTERVAL / 2, _INTERVAL))
            try:
                for table in EXPIRING:
                    await expire(self._database, table)
            except PostgresError as error:
                outage.say("What has expired in PostgreSQL is not deleted for now", error)
            else:
                outage.over()


async def expire(database: Database, table: str) -> None:
    """Delete all rows of a table that have expired; pauses as long as it works.

    :raises PostgresError: if the server cannot be reached or refuses.
    """
    while True:
        begin = time.monotonic()
        rows = await database.fetch(_EXPIRE.format(table, EXPIRING[table]))
        if rows[0][0] < _CHUNK:
            return
        await asyncio.sleep(time.monotonic() - begin)
