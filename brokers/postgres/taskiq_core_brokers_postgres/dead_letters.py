"""Dead letters: rows whose ids grow as they die."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

from collections.abc import Mapping, Sequence
from typing import Any

from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.schema import READY

_ANY_ID = (1 << 63) - 1
_CHUNK = 1000

BURY = """WITH gone AS (
        DELETE FROM taskiq.messages AS dead
        USING unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[])
            AS given(task_id, hold, reason, detail, body)
        WHERE dead.task_id = given.task_id AND dead.hold = given.hold
        RETURNING dead.task_id, dead.queue, dead.priority, dead.attempt, given.reason, given.detail,
                  coalesce(given.body, dead.body) AS body)
    INSERT INTO taskiq.dead_letters (task_id, queue, priority, attempts, reason, died_at, detail, body)
    SELECT task_id, queue, priority, attempt, reason, clock_timestamp(), detail, body FROM gone"""
"""Ids, holds, reasons, details and new bodies."""

_COLUMNS = "id::text, body, queue, reason, extract(epoch FROM died_at)::float8, attempts, task_id, detail"
_PAGE = f"SELECT {_COLUMNS} FROM taskiq.dead_letters WHERE id < $1 ORDER BY dead_letters.id DESC LIMIT $2"
_PAGE_OF_QUEUE = (
    f"SELECT {_COLUMNS} FROM taskiq.dead_letters WHERE id < $1 AND queue = $3 ORDER BY dead_letters.id DESC LIMIT $2"
)
_FIND = f"SELECT {_COLUMNS} FROM taskiq.dead_letters WHERE id = ANY($1::bigint[])"
_MENDED = """UPDATE taskiq.dead_letters AS letter SET body = given.body
             FROM unnest($1::bigint[], $2::bytea[]) AS given(id, body) WHERE letter.id = given.id"""
# A letter whose task is queued again already stays, and so do all but the newest of one task.
_RISE = f"""WITH locked AS MATERIALIZED (
        SELECT * FROM taskiq.dead_letters WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE),
    chosen AS MATERIALIZED (SELECT DISTINCT ON (task_id) * FROM locked ORDER BY task_id, id DESC),
    touched AS (
        INSERT INTO taskiq.messages (task_id, queue, priority, state, place, body)
        SELECT task_id, queue, priority, {READY}, nextval('taskiq.places'), body FROM (SELECT * FROM chosen ORDER BY id) AS old
        ON CONFLICT (task_id) DO NOTHING RETURNING queue, task_id),
    risen AS (
        DELETE FROM taskiq.dead_letters AS letter USING chosen JOIN touched ON touched.task_id = chosen.task_id
        WHERE letter.id = chosen.id RETURNING letter.id),
    told AS MATERIALIZED ({RING})
    SELECT count(*), (SELECT count(*) FROM told) FROM risen"""
_PURGE = "DELETE FROM taskiq.dead_letters WHERE {} AND {} RETURNING id"
_EXPIRE = f"""DELETE FROM taskiq.dead_letters WHERE id IN (
    SELECT id FROM taskiq.dead_letters WHERE died_at < now() - $1::float8 * interval '1 second'
    ORDER BY died_at LIMIT {_CHUNK})"""


async def page(database: Database, queue: str | None, limit: int, before: str | None) -> list[DeadLetter]:
    """Newest first, of those that died before the letter with that id."""
    end = _ANY_ID if before is None else next(iter(_numbers([before])), 0)
    rows = await (database.fetch(_PAGE, end, limit) if queue is None else database.fetch(_PAGE_OF_QUEUE, end, limit, queue))
    return [DeadLetter(*row) for row in rows]


async def find(database: Database, ids: Sequence[str]) -> list[DeadLetter]:
    """Those there are, in this order."""
    found = {row[0]: DeadLetter(*row) for row in await database.fetch(_FIND, _numbers(ids))}
    return [found[item] for item in ids if item in found]


async def requeue(database: Database, ids: Sequence[str], bodies: Mapping[str, bytes]) -> int:
    """Put letters back as if new, some with new bodies; returns how many are back."""
    chosen = _numbers(ids)
    mended = {number: bodies[str(number)] for number in chosen if str(number) in bodies}
    async with database.transaction() as work:
        if mended:
            await work.fetch(_MENDED, list(mended), list(mended.values()))
        return int((await work.fetch(_RISE, chosen))[0][0])


async def purge(database: Database, ids: Sequence[str] | None, older_than: float | None) -> int:
    """Delete letters: these or all, but only those that died more than `older_than` seconds ago, if that is given."""
    arguments: list[Any] = []
    chosen = old = "true"
    if ids is not None:
        arguments.append(_numbers(ids))
        chosen = f"id = ANY(${len(arguments)}::bigint[])"
    if older_than is not None:
        arguments.append(float(older_than))
        old = f"died_at < now() - ${len(arguments)}::float8 * interval '1 second'"
    return len(await database.fetch(_PURGE.format(chosen, old), *arguments))


async def expire(database: Database, ttl: float) -> None:
    """Delete letters older than `ttl` seconds, not too many at a time."""
    await database.fetch(_EXPIRE, ttl)


def _numbers(ids: Sequence[str]) -> list[int]:
    """Of what may be an id."""
    return [int(item) for item in dict.fromkeys(ids) if item.isascii() and item.isdigit() and int(item) <= _ANY_ID]
