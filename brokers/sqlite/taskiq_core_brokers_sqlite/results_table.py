"""Writing results, alone or in the transaction that settles their messages."""

import time
from collections.abc import Sequence

from taskiq_core.delivery import StoredResult
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.doorbell import RESULTS
from taskiq_core_brokers_sqlite.expiry import expire_some
from taskiq_core_brokers_sqlite.statements import insert_rows


def store_results(conn: Connection, results: Sequence[StoredResult], default_ttl: float | None = None) -> None:
    """Store results, replacing older ones, and wake who waits for them; now and then drop some that have expired."""
    now = time.time()
    rows = [(item.task_id, _expiry(now, default_ttl if item.ttl is None else item.ttl), item.body) for item in results]
    insert_rows(conn, "REPLACE INTO taskiq_results (task_id, expires, body)", 3, rows)
    conn.ring(RESULTS)
    expire_some(conn, now)


def _expiry(now: float, ttl: float | None) -> float | None:
    return None if ttl is None else now + ttl
