"""What waits in a queue, for who moves it to another broker."""

from collections.abc import Collection

from taskiq_core.abc.evacuation import Waiting
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.schema import DELAYED, PARKED, READY

_COLUMNS = "SELECT task_id, body, queue, priority, {} FROM taskiq.messages"
_HERE = "queue = $1 AND task_id <> ALL ($2::text[])"
_LEFT = "extract(epoch FROM due - now())::float8"
# Each walks an index of what waits in its way.
_STATEMENTS = (
    f"{_COLUMNS.format('0')} WHERE state = {READY} AND {_HERE} ORDER BY priority DESC, place LIMIT $3",
    f"{_COLUMNS.format('0')} WHERE state = {PARKED} AND {_HERE} ORDER BY park, place LIMIT $3",
    f"{_COLUMNS.format(_LEFT)} WHERE state = {DELAYED} AND due IS NOT NULL AND {_HERE} ORDER BY due LIMIT $3",
)
_QUEUES = "SELECT queue FROM taskiq.messages UNION SELECT queue FROM taskiq.paused"


async def look(database: Database, queue: str, limit: int, shown: Collection[str]) -> list[Waiting]:
    """At most so many, but for those with these task ids; the ready first, in their order."""
    found: list[Waiting] = []
    for statement in _STATEMENTS:
        if len(found) < limit:
            rows = await database.fetch(statement, queue, list(shown), limit - len(found))
            for task_id, body, name, priority, left in rows:
                found.append(Waiting(task_id, body, name, priority, left if left > 0 else None))
    return found


async def queues(database: Database) -> frozenset[str]:
    """Those with any message, and those that are paused."""
    return frozenset(row[0] for row in await database.fetch(_QUEUES))
