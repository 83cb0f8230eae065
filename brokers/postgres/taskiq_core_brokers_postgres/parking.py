"""Parked messages: one line for each text, whose first has a time to come back by itself.

Lines are changed by one transaction at a time, under a lock of the whole schema: two that did not see each other might both
leave a line without a time. Claiming, settling and sending what is not parked know nothing of it.
"""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from taskiq_core.delivery import Settlement
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database, Transaction
from taskiq_core_brokers_postgres.schema import PARKED, READY

_CHUNK = 1000
_ALL = (1 << 31) - 1

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('taskiq:', 1))"
_PARK = f"""UPDATE taskiq.messages AS back SET state = {PARKED}, hold = 0, worker = 0, due = NULL, park = given.park,
        park_delay = given.delay * interval '1 second', place = nextval('taskiq.places'), body = coalesce(given.body, back.body)
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::float8[], $5::bytea[]) AS given(task_id, hold, park, delay, body)
    WHERE back.task_id = given.task_id AND back.hold = given.hold"""
_MOVE_UP = f"""UPDATE taskiq.messages AS next SET due = clock_timestamp() + next.park_delay
    FROM unnest($1::text[]) AS line(park) CROSS JOIN LATERAL (
        SELECT task_id FROM taskiq.messages WHERE state = {PARKED} AND park = line.park ORDER BY place LIMIT 1) AS first
    WHERE next.task_id = first.task_id AND next.due IS NULL"""
_SERVED = """SELECT unnest(queues) FROM taskiq.workers WHERE lease_until > now() EXCEPT SELECT queue FROM taskiq.paused"""
_ELDEST = f"""SELECT first.task_id, line.park, first.queue
    FROM unnest($1::text[], $2::bigint[]) AS line(park, count) CROSS JOIN LATERAL (
        SELECT task_id, queue FROM taskiq.messages
        WHERE state = {PARKED} AND park = line.park ORDER BY place LIMIT greatest(line.count, 0)) AS first"""
_ELDEST_SERVED = _ELDEST.replace("ORDER BY place", "ORDER BY queue = ANY ($3::text[]) DESC, place")
_DUE = f"""SELECT task_id, park FROM taskiq.messages WHERE state = {PARKED} AND due <= now() ORDER BY due LIMIT {_CHUNK}"""
_WAKE = f"""WITH touched AS (
    UPDATE taskiq.messages AS woken SET state = {READY}, due = NULL, park = NULL, place = nextval('taskiq.fronts')
    FROM unnest($1::text[]) AS called(task_id)
    WHERE woken.task_id = called.task_id AND woken.state = {PARKED} RETURNING woken.queue) {RING}"""
_ANYBODY = f"SELECT FROM taskiq.messages WHERE state = {PARKED} AND park = ANY($1::text[]) LIMIT 1"
_TEXTS = f"SELECT DISTINCT park FROM taskiq.messages WHERE state = {PARKED} AND starts_with(park, $1)"


async def alone(work: Transaction) -> None:
    """Change lines from here on; others wait until this transaction ends."""
    await work.fetch(_LOCK)


async def park(work: Transaction, settlements: Sequence[Settlement]) -> None:
    """Put messages at the ends of their lines, if they are still held so."""
    await alone(work)
    given = [(item.delivery.receipt.id, item.delivery.receipt.hold, item.park, item.delay, item.body) for item in settlements]
    await work.fetch(_PARK, *([row[column] for row in given] for column in range(5)))
    await move_up(work, {item.park for item in settlements if item.park is not None})


async def unpark(database: Database, counts: Mapping[str, int]) -> int:
    """Make ready up to so many of each line, the eldest first of those that somebody can take, then of the others."""
    if database.retiring:
        await asyncio.wait(database.retiring)
    # A look takes no lock; who parks after it looks for a free place by itself.
    if not await database.fetch(_ANYBODY, list(counts)):
        return 0
    async with database.transaction() as work:
        await alone(work)
        wanted = [min(count, _ALL) for count in counts.values()]
        called = await work.fetch(_ELDEST, list(counts), wanted)
        served = [row[0] for row in await work.fetch(_SERVED)]
        if not {row[2] for row in called} <= set(served):
            called = await work.fetch(_ELDEST_SERVED, list(counts), wanted, served)
        return await _wake(work, called)


async def unpark_all(database: Database, prefix: str) -> int:
    """Make ready all lines whose text begins so; returns how many."""
    texts = [row[0] for row in await database.fetch(_TEXTS, prefix)]
    return await unpark(database, dict.fromkeys(texts, _ALL))


async def wake_due(database: Database) -> None:
    """Make ready those whose time has come."""
    async with database.transaction() as work:
        await alone(work)
        await _wake(work, await work.fetch(_DUE))


async def move_up(work: Transaction, texts: Collection[str]) -> None:
    """After a line has changed: who is first now has its time from now."""
    if texts:
        await work.fetch(_MOVE_UP, list(texts))


async def _wake(work: Transaction, called: Sequence[Any]) -> int:
    """They come before all others of their queues: they have waited already."""
    if called:
        await work.fetch(_WAKE, [row[0] for row in called])
        await move_up(work, {row[1] for row in called})
    return len(called)
