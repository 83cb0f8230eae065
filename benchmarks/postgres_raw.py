"""What one would write by hand over asyncpg: a table with queues, priorities and leases, claims of 100 with SKIP LOCKED.

Results are rows of another table, and have a time at which they expire.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg as _untyped_asyncpg

from benchmarks.clock import Time, now, since
from benchmarks.postgres_server import PostgresServer, postgres_server
from benchmarks.raw_loops import bodies, call, singly, trips
from benchmarks.stores import Store

asyncpg: Any = _untyped_asyncpg  # the package ships no types

_BATCH = 100
_TTL = timedelta(days=1)

_TABLES = """
    CREATE TABLE jobs (
        id bigserial PRIMARY KEY, queue text NOT NULL DEFAULT 'default', priority smallint NOT NULL DEFAULT 0,
        taken_until timestamptz, body bytea NOT NULL);
    CREATE INDEX jobs_ready ON jobs (queue, priority DESC, id) WHERE taken_until IS NULL;
    CREATE INDEX jobs_taken ON jobs (taken_until) WHERE taken_until IS NOT NULL;
    CREATE TABLE results (task_id text PRIMARY KEY, expires timestamptz NOT NULL, body bytea NOT NULL);
    CREATE INDEX results_expiry ON results (expires)
"""
_ADD = "INSERT INTO jobs (body) SELECT unnest($1::bytea[])"
_ADD_AND_TELL = "WITH added AS (INSERT INTO jobs (body) VALUES ($1)) SELECT pg_notify('sent', '')"
_CLAIM = f"""UPDATE jobs SET taken_until = now() + interval '30 seconds' WHERE id IN (
    SELECT id FROM jobs WHERE taken_until IS NULL AND queue = 'default' ORDER BY priority DESC, id LIMIT {_BATCH}
    FOR UPDATE SKIP LOCKED) RETURNING id, body"""
_STORE = "INSERT INTO results (task_id, expires, body) SELECT unnest($1::text[]), $2, unnest($3::bytea[])"
_DONE = "DELETE FROM jobs WHERE id = ANY($1::bigint[])"


@asynccontextmanager
async def client(server: PostgresServer) -> AsyncGenerator[Any]:
    """A connection with empty tables."""
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(_TABLES)
        yield connection
    finally:
        await connection.close()


async def add_singly(connection: Any, count: int) -> Time:
    """Each INSERT waits for the one before."""
    return await singly(lambda body: connection.execute("INSERT INTO jobs (body) VALUES ($1)", body), count)


async def add_in_batches(connection: Any, count: int) -> Time:
    """A hundred rows in each INSERT."""
    begin = now()
    batch: list[bytes] = []
    for body in bodies(count):
        batch.append(body)
        if len(batch) == _BATCH:
            await connection.execute(_ADD, batch)
            batch = []
    await connection.execute(_ADD, batch)
    return since(begin)


async def drain(connection: Any, count: int) -> Time:
    """Claim 100, call each inline; their results and deletes are one transaction."""
    await add_in_batches(connection, count)
    begin = now()
    while rows := await connection.fetch(_CLAIM):
        ids: list[str] = []
        results: list[bytes] = []
        for _, body in rows:
            task_id, result = await call(body)
            ids.append(task_id)
            results.append(result)
        async with connection.transaction():
            await connection.execute(_STORE, ids, datetime.now(UTC) + _TTL, results)
            await connection.execute(_DONE, [row[0] for row in rows])
    return since(begin)


async def round_trips(connection: Any, count: int) -> list[float]:
    """Milliseconds from INSERT to the answer, of which NOTIFY tells; client and worker are one process and connection."""
    sent, answered = asyncio.Queue[None](), asyncio.Queue[None]()
    await connection.add_listener("sent", lambda *_: sent.put_nowait(None))
    await connection.add_listener("answered", lambda *_: answered.put_nowait(None))
    worker = asyncio.create_task(_answer(connection, sent, count))
    times = await trips(lambda body: connection.execute(_ADD_AND_TELL, body), answered.get, count)
    await worker
    return times


async def _answer(connection: Any, sent: "asyncio.Queue[None]", count: int) -> None:
    for _ in range(count):
        await sent.get()
        ids = [row[0] for row in await connection.fetch(_CLAIM)]
        await connection.execute(
            "WITH gone AS (DELETE FROM jobs WHERE id = ANY($1::bigint[])) SELECT pg_notify('answered', '')", ids
        )


POSTGRES = Store(
    "postgres",
    "asyncpg",
    postgres_server,
    lambda server: f"{server.url}?schema=bench",
    client,
    add_singly,
    add_in_batches,
    drain,
    round_trips,
)
