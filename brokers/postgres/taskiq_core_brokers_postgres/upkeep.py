"""What comes back by itself: messages that are due, and messages whose holder is gone."""

# ruff: noqa: S608 - what is put into statements here are constants of ours, and names that `locate` checked

import logging
import math
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from taskiq_core.outage import Outage
from taskiq_core_brokers_postgres import parking
from taskiq_core_brokers_postgres.bell import RING
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.leases import END, Leases
from taskiq_core_brokers_postgres.schema import DELAYED, PARKED, READY

logger = logging.getLogger("taskiq.postgres")

_CHUNK = 1000

_PROMOTE = f"""WITH due AS MATERIALIZED (
        SELECT task_id FROM taskiq.messages WHERE state = {DELAYED} AND due <= now()
        ORDER BY due LIMIT {_CHUNK} FOR UPDATE SKIP LOCKED),
    touched AS (UPDATE taskiq.messages AS message SET state = {READY}, due = NULL
        FROM due WHERE message.task_id = due.task_id RETURNING queue) {RING}"""

# Looking for ready messages walks over all that have been claimed since the last vacuum: not done beside claims.
_LOOK = f"""SELECT
    $3 AND EXISTS (SELECT FROM unnest($1::text[]) AS mine(queue)
        WHERE NOT EXISTS (SELECT FROM taskiq.paused WHERE paused.queue = mine.queue)
        AND EXISTS (SELECT FROM taskiq.messages WHERE state = {READY} AND messages.queue = mine.queue)),
    extract(epoch FROM (SELECT min(due) FROM taskiq.messages WHERE state = {DELAYED} AND due IS NOT NULL) - now())::float8,
    extract(epoch FROM (SELECT min(due) FROM taskiq.messages WHERE state = {PARKED} AND due IS NOT NULL) - now())::float8,
    extract(epoch FROM (SELECT {END} FROM taskiq.workers HAVING min(lease_until) IS NOT NULL) - now())::float8,
    (SELECT lease_until <= now() FROM taskiq.workers WHERE id = $2)"""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether something is ready, and in how many seconds something has to be done; less than zero: it is late."""

    ready: bool
    next_due: float
    next_parked: float
    next_lease_end: float
    own_lease_over: bool

    @property
    def left(self) -> float:
        """Seconds until something is to be done."""
        return min(self.next_due, self.next_parked, self.next_lease_end)


class Upkeep:
    """Done by every consumer, now and then while it is busy and at the right moment while it waits."""

    def __init__(self, database: Database, queues: Sequence[str], leases: Leases, worker: int) -> None:
        self._database = database
        self._queues = list(queues)
        self._leases = leases
        self._worker = worker
        self._leases_count_from = 0.0
        self._outage = Outage(logger, "What is due, and what lost its holder, comes back again")

    async def _look(self, *, ready: bool) -> Outlook:
        ((found, *seconds, over),) = await self._database.fetch(_LOOK, self._queues, self._worker, ready, self._leases.seconds)
        due, parked, lease = (math.inf if value is None else value for value in seconds)
        if over:
            self.reprieve()
        return Outlook(found, due, parked, max(lease, self._leases_count_from - time.monotonic()), bool(over))

    def reprieve(self) -> None:
        """Nobody's lease ends for one lease: we could not renew ours, so others could not either."""
        if time.monotonic() >= self._leases_count_from + 3 * self._leases.seconds:  # who is always late is not excused again
            self._leases_count_from = time.monotonic() + self._leases.seconds

    async def run(self, *, ready: bool = True) -> Outlook:
        """Do what is to be done, and return what was seen before; with `ready` also whether there is something to claim.

        What cannot be done now, for somebody has locked it, keeps nobody from claiming: it is told, and done later.

        :raises PostgresError: if nothing could be seen.
        """
        outlook = await self._look(ready=ready)
        if outlook.next_due <= 0:
            await self._do(self._database.fetch(_PROMOTE))
        if outlook.next_parked <= 0:
            await self._do(parking.wake_due(self._database))
        if outlook.next_lease_end <= 0:
            await self._do(self._leases.sweep())
        return outlook

    async def _do(self, work: Awaitable[Any]) -> None:
        try:
            await work
        except PostgresError as error:
            self._outage.say("What is due, or lost its holder, does not come back for now", error)
        else:
            self._outage.over()
