"""Atomic steps in one file."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from taskiq_core.abc.coordinator import Claim, Coordinator, SlotRequest, TokenRequest
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.expiry import expire_some
from taskiq_core_brokers_sqlite.statements import as_set, insert_rows
from taskiq_core_result_backends_sqlite.stored import OnDatabase

T = TypeVar("T")
Item = TypeVar("Item")

_TABLES = ("taskiq_claims", "taskiq_slots", "taskiq_buckets", "taskiq_counters", "taskiq_joins")
_FOREVER = 1e18


class SQLiteCoordinator(OnDatabase, Coordinator):
    """Every call is one transaction; time is the machine's clock."""

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return await self._each(_claim, claims)

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await self._change("DELETE FROM taskiq_claims WHERE key = ? AND owner = ?", claims)

    async def acquire_slots(self, requests: Sequence[SlotRequest]) -> list[bool]:
        return await self._each(_acquire, requests)

    async def release_slots(self, slots: Sequence[tuple[str, str]]) -> None:
        await self._change("DELETE FROM taskiq_slots WHERE key = ? AND holder = ?", slots)

    async def take_tokens(self, requests: Sequence[TokenRequest]) -> list[float]:
        return await self._each(_take, requests)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        values = await self._each(partial(_add, ttl), list(amounts.items()))
        return dict(zip(amounts, values, strict=True))

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        return (await self._each(partial(_arrive, key, members, expected), [ttl]))[0]

    async def forget(self, keys: Sequence[str]) -> None:
        def forget(conn: Connection) -> None:
            for table in _TABLES:
                conn.execute(f"DELETE FROM {table} WHERE key IN (SELECT value FROM json_each(?))", (as_set(keys),))  # noqa: S608

        await self.require_database().write(forget)

    async def _each(self, step: Callable[[Connection, float, Item], T], items: Sequence[Item]) -> list[T]:
        def decide(conn: Connection) -> list[T]:
            now = time.time()
            expire_some(conn, now)
            return [step(conn, now, item) for item in items]

        return await self.require_database().write(decide) if items else []

    async def _change(self, statement: str, rows: Sequence[tuple[str, str]]) -> None:
        def change(conn: Connection) -> None:
            conn.executemany(statement, rows)

        await self.require_database().write(change)


def _claim(conn: Connection, now: float, item: Claim) -> bool:
    statement = """INSERT INTO taskiq_claims (key, owner, expires) VALUES (?1, ?2, ?3)
                   ON CONFLICT (key) DO UPDATE SET owner = ?2, expires = ?3 WHERE owner = ?2 OR expires <= ?4"""
    return conn.execute(statement, (item.key, item.owner, now + item.ttl, now)).rowcount == 1


def _acquire(conn: Connection, now: float, item: SlotRequest) -> bool:
    conn.execute("DELETE FROM taskiq_slots WHERE key = ? AND expires <= ?", (item.key, now))
    statement = """INSERT INTO taskiq_slots (key, holder, expires)
                   SELECT ?1, ?2, ?3 WHERE (SELECT count(*) FROM taskiq_slots WHERE key = ?1) < ?4
                      OR EXISTS (SELECT 1 FROM taskiq_slots WHERE key = ?1 AND holder = ?2)
                   ON CONFLICT (key, holder) DO UPDATE SET expires = ?3"""
    return conn.execute(statement, (item.key, item.holder, now + item.ttl, item.limit)).rowcount == 1


def _take(conn: Connection, now: float, item: TokenRequest) -> float:
    row = conn.execute("SELECT tokens, at FROM taskiq_buckets WHERE key = ? AND expires > ?", (item.key, now)).fetchone()
    tokens, then = row or (item.burst, now)
    tokens = min(item.burst, tokens + max(0.0, now - then) * item.rate)
    missing = item.tokens - tokens
    if missing > 0:
        return math.inf if item.tokens > item.burst else _seconds(missing, item.rate)
    tokens -= item.tokens
    # A full bucket is the same as none, so a row is kept only until it would be full.
    full = now + min(_seconds(item.burst - tokens, item.rate), _FOREVER)
    conn.execute("REPLACE INTO taskiq_buckets (key, tokens, at, expires) VALUES (?, ?, ?, ?)", (item.key, tokens, now, full))
    return 0.0


def _add(ttl: float, conn: Connection, now: float, item: tuple[str, int]) -> int:
    statement = """INSERT INTO taskiq_counters (key, value, expires) VALUES (?1, ?2, ?3) ON CONFLICT (key)
                   DO UPDATE SET value = iif(expires <= ?4, 0, value) + ?2, expires = ?3 RETURNING value"""
    return int(conn.execute(statement, (*item, now + ttl, now)).fetchone()[0])


def _arrive(  # noqa: PLR0917
    key: str, members: Sequence[str], expected: int, conn: Connection, now: float, ttl: float
) -> bool:
    conn.execute("DELETE FROM taskiq_joins WHERE key = ? AND expires <= ?", (key, now))
    rows = [(key, member) for member in members]
    new = insert_rows(conn, "INSERT OR IGNORE INTO taskiq_arrivals (key, member)", 2, rows)
    statement = """INSERT INTO taskiq_joins (key, arrived, complete, expires) VALUES (?1, ?2, 0, ?3) ON CONFLICT (key)
                   DO UPDATE SET arrived = arrived + ?2, expires = ?3 RETURNING arrived >= ?4 AND NOT complete"""
    completes = bool(conn.execute(statement, (key, new, now + ttl, expected)).fetchone()[0])
    if completes:
        conn.execute("UPDATE taskiq_joins SET complete = 1 WHERE key = ?", (key,))
    return completes


def _seconds(tokens: float, rate: float) -> float:
    return tokens / rate if rate > 0 else math.inf
