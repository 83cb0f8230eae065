"""Leases: a row of `workers` has that of all its messages. Time is the server's alone."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import random
from collections.abc import Collection, Sequence
from typing import Any

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.claiming import arrays
from taskiq_core_brokers_postgres.database import Database, Transaction
from taskiq_core_brokers_postgres.schema import FORGOTTEN, HELD, MAIN, READY

_CHUNK = 1000

_RENEW = f"""WITH before AS (SELECT lease_until <= now() AS over FROM taskiq.workers WHERE id = $1)
    INSERT INTO taskiq.workers (id, kind, name, queues, lease_until)
    VALUES ($1, {MAIN}, $2, $4, now() + $3::float8 * interval '1 second')
    ON CONFLICT (id) DO UPDATE SET
        kind = excluded.kind, name = excluded.name, lease_until = excluded.lease_until, queues = excluded.queues
    RETURNING coalesce((SELECT over FROM before), true), nextval('taskiq.holds')"""
RENEW_ONLY = "UPDATE taskiq.workers SET lease_until = now() + $2::float8 * interval '1 second' WHERE id = $1 RETURNING id"
"""For a worker that has its row."""
_RETIRE = "UPDATE taskiq.workers SET queues = '{}' WHERE id = $1"
_LOST = """SELECT given.task_id, given.hold FROM unnest($1::text[], $2::bigint[]) AS given(task_id, hold)
           WHERE NOT EXISTS (SELECT FROM taskiq.messages WHERE task_id = given.task_id AND hold = given.hold)"""
_MOVE = f"""WITH moved AS MATERIALIZED (
        SELECT task_id FROM taskiq.messages WHERE {{}} ORDER BY task_id FOR UPDATE SKIP LOCKED),
    row AS (INSERT INTO taskiq.workers (id, kind, name, lease_until)
        SELECT $1::bigint, {FORGOTTEN}, $2, now() + $3::float8 * interval '1 second' WHERE EXISTS (SELECT FROM moved))
    UPDATE taskiq.messages AS message SET worker = $1 FROM moved WHERE message.task_id = moved.task_id"""
_STRAY = _MOVE.format(f"state = {HELD} AND worker = $4 AND hold <= $5 AND task_id <> ALL ($6::text[])")
_FORGET = _MOVE.format("(task_id, hold) IN (SELECT * FROM unnest($4::text[], $5::bigint[]))")

_FREE = f"""UPDATE taskiq.messages AS free SET state = {READY}, hold = 0, worker = 0"""
_IS_OVER = "greatest(lease_until, pg_postmaster_start_time() + $1::float8 * interval '1 second') <= now()"
END = "greatest(min(lease_until), pg_postmaster_start_time() + $4::float8 * interval '1 second')"
"""When the first lease ends, with the same grace after a start of the server as `Leases.sweep` has."""
# What somebody is settling at this moment is passed over; its worker's row stays until nothing names it.
_SWEEP = f"""WITH gone AS MATERIALIZED (SELECT id, kind FROM taskiq.workers WHERE {_IS_OVER} FOR UPDATE SKIP LOCKED),
    lost AS MATERIALIZED (
        SELECT task_id, gone.kind FROM taskiq.messages AS held JOIN gone ON held.worker = gone.id
        WHERE held.state = {HELD} LIMIT {_CHUNK} FOR UPDATE OF held SKIP LOCKED),
    touched AS ({_FREE}, deaths = deaths + (lost.kind <> {FORGOTTEN})::integer
        FROM lost WHERE free.task_id = lost.task_id RETURNING free.queue) {RING}"""
_DROP = f"""DELETE FROM taskiq.workers WHERE {_IS_OVER}
            AND NOT EXISTS (SELECT FROM taskiq.messages WHERE state = {HELD} AND worker = workers.id)"""

_OF_NAME = "worker IN (SELECT id FROM taskiq.workers WHERE name = $1)"
_LEAVE = f"WITH touched AS ({_FREE} WHERE state = {HELD} AND {_OF_NAME} RETURNING queue) {RING}"
_ACCUSE = f"UPDATE taskiq.messages SET accused = true WHERE task_id = ANY ($2::text[]) AND (state = {READY} OR {_OF_NAME})"
_BURY = f"""WITH touched AS ({_FREE}, deaths = deaths + 1 WHERE state = {HELD} AND {_OF_NAME} RETURNING queue) {RING}"""
# A claim of that name may commit at any moment, for its process may be dead while its server process is not: it has locked its
# worker's row, or waits for it. So rows are locked before anything is freed, and those that came up meanwhile stay.
_END = "UPDATE taskiq.workers SET lease_until = now() WHERE name = $1"
_FORGET_NAME = "DELETE FROM taskiq.workers WHERE name = $1 AND lease_until = now()"

# Steps from worker to worker in the index: held messages may be many.
_ADOPT = f"""WITH RECURSIVE holder(id) AS (
        SELECT min(worker) FROM taskiq.messages WHERE state = {HELD}
        UNION ALL SELECT (SELECT min(worker) FROM taskiq.messages WHERE state = {HELD} AND worker > holder.id)
        FROM holder WHERE holder.id IS NOT NULL)
    INSERT INTO taskiq.workers (id, kind, name, lease_until)
    SELECT id, {FORGOTTEN}, '', now() + $1::float8 * interval '1 second' FROM holder
    WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM taskiq.workers WHERE workers.id = holder.id) ON CONFLICT DO NOTHING"""


class Leases:
    """Those of one consumer."""

    def __init__(self, database: Database, worker: int, name: str, queues: Sequence[str], seconds: float) -> None:
        self._database = database
        self._worker = worker
        self._name = name
        self._queues = list(queues)
        self.seconds = seconds

    async def renew(self) -> tuple[bool, int]:
        """Return whether the lease had ended before, and a number above those of all claims that have begun."""
        ((was_over, number),) = await self._database.fetch(_RENEW, self._worker, self._name, self.seconds, self._queues)
        return was_over, number

    async def part(self, deliveries: Sequence[Delivery], last_hold: int) -> Sequence[Delivery]:
        """What is held since `last_hold` or longer and is not among these has one lease more. Returns those that are lost."""
        ids, holds = arrays(deliveries)
        await self._database.fetch(_STRAY, *self._new_row(), self._worker, last_hold, ids)
        lost = {(row[0], row[1]) for row in await self._database.fetch(_LOST, ids, holds)} if ids else set[Any]()
        return [item for item in deliveries if (item.receipt.id, item.receipt.hold) in lost]

    async def retire(self) -> None:
        """Receive nothing more: nobody is to be called for us. What is held stays so."""
        self._queues = []
        await self._database.fetch(_RETIRE, self._worker)

    async def forget(self, deliveries: Sequence[Delivery]) -> None:
        """These have one more lease, whose end is no death."""
        await self._database.fetch(_FORGET, *self._new_row(), *arrays(deliveries))

    async def leave(self) -> None:
        """Give everything back, in its place."""
        async with self._database.transaction() as work:
            await self._end(work, self._name, _LEAVE)

    async def bury(self, name: str, accused: Collection[str]) -> None:
        """Take everything from a dead consumer at once; a message whose id is accused is marked, also if it was free again."""
        async with self._database.transaction() as work:
            await work.fetch(_ACCUSE, name, list(accused))
            await self._end(work, name, _BURY)

    async def _end(self, work: Transaction, name: str, free: str) -> None:
        await work.fetch(_END, name)
        await work.fetch(free, name)
        await work.fetch(_FORGET_NAME, name)

    async def adopt(self) -> None:
        """Whatever is held without a lease, however that came about, has one lease; then it comes back."""
        await self._database.fetch(_ADOPT, self.seconds)

    async def sweep(self) -> None:
        """Make ready what has lost its lease, with one death more unless it was forgotten.

        After a start of the server, leases count from that: nobody could renew them before.
        """
        await self._database.fetch(_SWEEP, self.seconds)
        await self._database.fetch(_DROP, self.seconds)

    def _new_row(self) -> tuple[int, str, float]:
        return random.getrandbits(62) | 1, self._name, self.seconds
