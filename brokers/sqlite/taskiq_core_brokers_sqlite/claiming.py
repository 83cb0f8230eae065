"""Which ready messages a consumer takes."""

from collections.abc import Sequence
from typing import Any

from taskiq_core.low_share import LowShare
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.schema import HELD, READY

_UNLESS_PAUSED = "SELECT queue FROM (SELECT ? AS queue) WHERE queue NOT IN (SELECT queue FROM taskiq_paused)"
# Evaluated once, and nothing equals its NULL; as a condition beside it, the pause would be looked up for every message.
_READY = f"taskiq_messages WHERE state = {READY} AND queue = ({_UNLESS_PAUSED})"


class Claim:
    """The statements of one consumer: the highest priority first, then the oldest, but for the share of low priorities."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._queues = queues
        self._share = LowShare()
        self._any = _claim_statement(len(queues))
        self._of_priority = _claim_statement(len(queues), "AND priority = ?")
        one = f"SELECT * FROM (SELECT priority FROM {_READY} AND priority < ? ORDER BY priority DESC LIMIT 1)"  # noqa: S608
        self._below = f"SELECT max(priority) FROM ({' UNION ALL '.join([one] * len(queues))})"  # noqa: S608

    def take(self, conn: Connection, hold: int, limit: int) -> list[Any]:
        """Put up to `limit` messages under a hold: (id, priority, attempt, queue, deaths, accused, body) of each."""
        rows: list[Any] = []
        owed = self._share.owed(limit)
        if owed and (low := self._share.turn(lambda priority: self._highest_below(conn, priority))) is not None:
            rows = conn.execute(self._of_priority, (hold, *self._each(low, owed), owed)).fetchall()
        left = limit - len(rows)
        if left:
            rows += conn.execute(self._any, (hold, *self._each(left), left)).fetchall()
        self._share.delivered(len(rows))
        rows.sort(key=lambda row: (-row[1], row[0]))
        return rows

    def _highest_below(self, conn: Connection, priority: int) -> int | None:
        found: int | None = conn.execute(self._below, self._each(priority)).fetchone()[0]
        return found

    def _each(self, *values: int) -> tuple[Any, ...]:
        """The parameters of all queues."""
        return tuple(value for queue in self._queues for value in (queue, *values))


def _claim_statement(queues: int, condition: str = "") -> str:
    """One index walk per queue, then the best of all: a sort of the whole backlog is never needed."""
    one = f"SELECT * FROM (SELECT id, priority FROM {_READY} {condition} ORDER BY priority DESC, id LIMIT ?)"  # noqa: S608
    every = " UNION ALL ".join([one] * queues)
    return f"""UPDATE taskiq_messages SET state = {HELD}, hold = ?, attempt = attempt + 1
               WHERE id IN (SELECT id FROM ({every}) ORDER BY priority DESC, id LIMIT ?)
               RETURNING id, priority, attempt, queue, deaths, accused, body"""  # noqa: S608
