"""Atomic steps in one file."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, Coordinator, SlotLimit
from taskiq_core.stores.admission import decide
from taskiq_core.stores.limit_settings import slots_of
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.expiry import expire_some
from taskiq_core_brokers_sqlite.statements import as_set, insert_rows
from taskiq_core_result_backends_sqlite.ledger import RowLedger, read_values, taken_slots
from taskiq_core_result_backends_sqlite.stored import OnDatabase

T = TypeVar("T")
Item = TypeVar("Item")

_TABLES = ("taskiq_claims", "taskiq_slots", "taskiq_times", "taskiq_values", "taskiq_counters", "taskiq_joins")


class SQLiteCoordinator(OnDatabase, Coordinator):
    """Every call is one transaction; time is the machine's clock."""

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return await self._each(_claim, claims)

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await self._change("DELETE FROM taskiq_claims WHERE key = ? AND owner = ?", claims)

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        statement = "SELECT key, owner FROM taskiq_claims WHERE key IN (SELECT value FROM json_each(?)) AND expires > ?"

        def read(conn: Connection) -> dict[str, str]:
            return dict(conn.execute(statement, (as_set(keys), time.time())).fetchall())

        return await self.require_database().read(read) if keys else {}

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        def admit(conn: Connection) -> list[Admission]:
            now = time.time()
            expire_some(conn, now)
            ledger = RowLedger(conn, now, requests)
            answers = [decide(ledger, item) for item in requests]
            ledger.write()
            return answers

        return await self.require_database().write(admit) if requests else []

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        def leave(conn: Connection) -> list[int]:
            now = time.time()
            held = [(place.key, holder) for holder, place in places]
            conn.executemany("DELETE FROM taskiq_slots WHERE key = ? AND holder = ?", held)
            settings = read_values(conn, now, {place.setting for _, place in places if place.setting is not None})
            taken = {place.key: taken_slots(conn, now, place.key) for _, place in places}
            values = [None if place.setting is None else settings.get(place.setting) for _, place in places]
            return [max(0, slots_of(place, value) - taken[place.key]) for (_, place), value in zip(places, values, strict=True)]

        return await self.require_database().write(leave) if places else []

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        wanted = set(keys)
        return await self.require_database().read(lambda conn: read_values(conn, time.time(), wanted)) if keys else {}

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        def put(conn: Connection) -> None:
            now = time.time()
            expire_some(conn, now)
            gone = [key for key, value in entries.items() if value is None]
            conn.execute("DELETE FROM taskiq_values WHERE key IN (SELECT value FROM json_each(?))", (as_set(gone),))
            rows = [(key, value, None if ttl is None else now + ttl) for key, value in entries.items() if value is not None]
            insert_rows(conn, "REPLACE INTO taskiq_values (key, value, expires)", 3, rows)

        if entries:
            await self.require_database().write(put)

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
