"""Which ready messages a consumer takes."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import random
import time
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from taskiq_core.delivery import Delivery
from taskiq_core.low_share import LowShare
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.schema import HELD, MAIN, READY

_LOWEST, _HIGHEST = -(1 << 15), (1 << 15) - 1
_BEGIN = -(1 << 63)
_Part = tuple[int, int, int]
"""Lowest and highest priority, and the place to begin at."""
_ALL: _Part = (_LOWEST, _HIGHEST, _BEGIN)
_WHOLE_WALK = 0.5
"""Seconds after which a busy consumer looks at the beginning of its queues again."""

_OPEN = """SELECT queue FROM unnest($1::text[]) AS mine(queue)
           WHERE NOT EXISTS (SELECT FROM taskiq.paused WHERE paused.queue = mine.queue)"""

# One index walk per queue and part of it, then the best of all. What others are just taking is passed over. `best` is evaluated
# once: as a subquery it might be run again for each row, and take more than the limit. Its rows are locked, and stay in place.
_CLAIM = f"""
    WITH open AS MATERIALIZED ({_OPEN}),
    best AS MATERIALIZED (
        SELECT found.spot FROM open
        CROSS JOIN unnest($3::integer[], $4::integer[], $8::bigint[]) AS part(lowest, highest, first)
        CROSS JOIN LATERAL (
            SELECT ctid AS spot, priority, place FROM taskiq.messages
            WHERE state = {READY} AND queue = open.queue
            AND priority BETWEEN part.lowest AND part.highest AND place >= part.first
            ORDER BY priority DESC, place LIMIT $2 FOR UPDATE SKIP LOCKED) AS found
        ORDER BY found.priority DESC, found.place LIMIT $2),
    leased AS (
        INSERT INTO taskiq.workers (id, kind, name, queues, lease_until)
        SELECT $5, {MAIN}, $6, $1, now() + $7::float8 * interval '1 second' WHERE EXISTS (SELECT FROM best)
        ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until),
    claim AS MATERIALIZED (SELECT nextval('taskiq.holds') AS number)
    UPDATE taskiq.messages AS taken SET state = {HELD}, worker = $5, hold = claim.number, attempt = attempt + 1
    FROM best, claim WHERE taken.ctid = best.spot
    RETURNING taken.priority, taken.place, taken.task_id, taken.hold, taken.attempt, taken.queue, taken.deaths, taken.accused,
              taken.body"""

_BY_PRIORITY, _BY_PLACE = itemgetter(0), itemgetter(1)

_PRIORITIES = f"""SELECT level FROM generate_series(0, 9) AS level WHERE EXISTS (
    SELECT FROM ({_OPEN}) AS open CROSS JOIN LATERAL (
        SELECT FROM taskiq.messages WHERE state = {READY} AND queue = open.queue AND priority = level LIMIT 1) AS found)
    ORDER BY level DESC"""

_UNCLAIM = f"""WITH touched AS (
    UPDATE taskiq.messages AS back SET state = {READY}, hold = 0, worker = 0, attempt = attempt - 1
    FROM unnest($1::text[], $2::bigint[]) AS given(task_id, hold)
    WHERE back.task_id = given.task_id AND back.hold = given.hold RETURNING back.queue) {RING}"""


class Receipt:
    """Where a delivery stands: its message, and the hold that proves whose it is."""

    __slots__ = ("hold", "id")

    def __init__(self, task_id: str, hold: int) -> None:
        self.id = task_id
        self.hold = hold


def arrays(deliveries: Sequence[Delivery]) -> tuple[list[str], list[int]]:
    """Ids and holds, as statements take them."""
    return [item.receipt.id for item in deliveries], [item.receipt.hold for item in deliveries]


class Claim:
    """What one consumer takes: the highest priority first, then the oldest, but for the share of low priorities."""

    def __init__(self, queues: Sequence[str], name: str, lease: float) -> None:
        self.worker = random.getrandbits(62) | 1
        self._queues = list(queues)
        self._lease = lease
        self._name = name
        self._share = LowShare()
        self._passed: _Part | None = None
        self._levels: list[int] | None = None
        self._low_places: dict[int, int] = {}
        self._whole_walk_at = 0.0

    async def take(self, database: Database, limit: int) -> list[Delivery]:
        """Take up to `limit` ready messages under a lease, which is renewed by that.

        :raises PostgresError: if nothing was taken for want of an answer.
        """
        now = time.monotonic()
        if now >= self._whole_walk_at:
            self.rewind()
            self._whole_walk_at = now + _WHOLE_WALK
        owed = self._share.owed(limit)
        rows: list[Any] = []
        try:
            if owed:
                rows += await self._low(database, owed)
            if len(rows) < limit:
                await self._highest(database, limit, rows)
        except PostgresError:
            if not rows:
                raise
            self.rewind()  # what was taken before is held, and delivered
        self._share.delivered(len(rows))
        rows.sort(key=_BY_PLACE)
        rows.sort(key=_BY_PRIORITY, reverse=True)
        return [
            Delivery(body, Receipt(task_id, hold), attempt, queue, deaths, accused)
            for _, _, task_id, hold, attempt, queue, deaths, accused, body in rows
        ]

    def rewind(self) -> None:
        """Something has come back to a place that was passed already."""
        self._passed, self._levels = None, None
        self._low_places.clear()

    async def _low(self, database: Database, limit: int) -> list[Any]:
        """The share of low priorities: those that were seen when the last walk began, each where its last claim ended."""
        if self._levels is None:
            self._levels = [row[0] for row in await database.fetch(_PRIORITIES, self._queues)]
        levels = self._levels
        low = self._share.turn(lambda priority: next((level for level in levels if level < priority), None))
        if low is None:
            return []
        rows = await self._fetch(database, limit, (low, low, self._low_places.get(low, _BEGIN)))
        if rows:
            self._low_places[low] = min(row[1] for row in rows)
        return list(rows)

    async def _highest(self, database: Database, limit: int, taken: list[Any]) -> None:
        """Fill `taken` up to the limit.

        What was claimed leaves dead entries at the beginning of the index, until the table is vacuumed.

        So a busy consumer begins where its last claim ended, but for higher priorities. What comes back to a place before that,
        by other consumers or late commits, it finds when it has no more, or soon.
        """
        low = len(taken)
        if self._passed is not None:
            taken += await self._fetch(database, limit - low, (self._passed[0] + 1, _HIGHEST, _BEGIN), self._passed)
        if len(taken) < limit:
            taken += await self._fetch(database, limit - len(taken), _ALL)
        self._passed = None
        if len(taken) == limit:
            highest = taken[low:]
            lowest = min(row[0] for row in highest)
            self._passed = lowest, lowest, min(row[1] for row in highest if row[0] == lowest)

    async def _fetch(self, database: Database, limit: int, *parts: _Part) -> Sequence[Any]:
        lowest, highest, first = ([*column] for column in zip(*parts, strict=True))
        who = self.worker, self._name, self._lease
        return await database.fetch(_CLAIM, self._queues, limit, lowest, highest, *who, first)

    async def give_back(self, database: Database, deliveries: Sequence[Delivery]) -> None:
        """Give back what nobody has seen, as if it had never been claimed."""
        await database.fetch(_UNCLAIM, *arrays(deliveries))
        self.rewind()
