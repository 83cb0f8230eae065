"""What comes back by itself: messages that are due, and messages whose holder is gone."""

import math
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.doorbell import queue_channel
from taskiq_core_brokers_sqlite.parking import wake_due
from taskiq_core_brokers_sqlite.schema import DELAYED, HELD, NO_HOLD, READY, forgotten
from taskiq_core_brokers_sqlite.statements import as_set

_CHUNK = 1000

_PROMOTE = f"""UPDATE taskiq_messages SET state = {READY} WHERE id IN (
                 SELECT id FROM taskiq_messages WHERE state = {DELAYED} AND due <= ? ORDER BY due LIMIT {_CHUNK})"""  # noqa: S608
_LOSE = f"""UPDATE taskiq_messages SET state = {READY}, hold = {NO_HOLD},
            deaths = deaths + EXISTS (SELECT 1 FROM taskiq_holds WHERE id = hold AND consumer NOT LIKE '{forgotten("%")}')
            WHERE state = {HELD} AND hold IN (SELECT value FROM json_each(?))"""  # noqa: S608

_ACCUSE = f"""UPDATE taskiq_messages SET accused = 1 WHERE task_id IN (SELECT value FROM json_each(?))
              AND (state = {READY} OR hold IN (SELECT value FROM json_each(?)))"""  # noqa: S608

_OPEN = "SELECT value FROM json_each(?) EXCEPT SELECT queue FROM taskiq_paused"
_LOOK_OUT = f"""SELECT EXISTS (SELECT 1 FROM taskiq_messages WHERE state = {READY} AND queue IN ({_OPEN})),
                       (SELECT min(due) FROM taskiq_messages WHERE state = {DELAYED}),
                       (SELECT min(due) FROM taskiq_parked WHERE due IS NOT NULL),
                       (SELECT min(lease_until) FROM taskiq_holds)"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether something is ready, and when (seconds since the epoch) something will be without anybody's doing."""

    ready: bool
    next_due: float = math.inf
    next_lease_end: float = math.inf


def keep_up(conn: Connection, now: float) -> None:
    """Make ready what is due, and what has lost its lease: that with one death more, unless they were forgotten."""
    conn.execute(_PROMOTE, (now,))
    wake_due(conn, now)
    if time.monotonic() < conn.leases_count_from:
        return
    expired = [row[0] for row in conn.execute("SELECT id FROM taskiq_holds WHERE lease_until <= ?", (now,)).fetchall()]
    if expired:
        _lose(conn, expired)


def bury(conn: Connection, consumer: str, accused: Collection[str]) -> None:
    """Take everything from a dead consumer at once.

    A message whose task id is in `accused` is marked, also if its lease has ended in the meantime.
    """
    names = (consumer, forgotten(consumer))
    holds = [row[0] for row in conn.execute("SELECT id FROM taskiq_holds WHERE consumer IN (?, ?)", names).fetchall()]
    conn.execute(_ACCUSE, (as_set(accused), as_set(holds)))
    conn.execute("DELETE FROM taskiq_consumers WHERE consumer = ?", (consumer,))
    if holds:
        _lose(conn, holds)


def look_out(conn: sqlite3.Connection, queues: Sequence[str]) -> Outlook:
    """What `queues` have to expect."""
    ready, *times = conn.execute(_LOOK_OUT, (as_set(queues),)).fetchone()
    due, parked_due, lease = (math.inf if at is None else at for at in times)
    return Outlook(bool(ready), min(due, parked_due), lease)


def _lose(conn: Connection, holds: Sequence[int]) -> None:
    lost = as_set(holds)
    queues = conn.execute(
        f"SELECT DISTINCT queue FROM taskiq_messages WHERE state = {HELD} AND hold IN (SELECT value FROM json_each(?))",  # noqa: S608
        (lost,),
    ).fetchall()
    conn.execute(_LOSE, (lost,))
    conn.execute("DELETE FROM taskiq_holds WHERE id IN (SELECT value FROM json_each(?))", (lost,))
    conn.ring(*(queue_channel(row[0]) for row in queues))
