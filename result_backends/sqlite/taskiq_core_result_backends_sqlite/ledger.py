"""Slots, starts and times given, as rows; a batch reads what it needs at most once, and writes at its end."""

import json
from bisect import bisect_right, insort
from collections.abc import Sequence

from taskiq_core.abc.coordinator import AdmissionRequest, RateLimit
from taskiq_core.stores.limit_settings import changed_rate
from taskiq_core.stores.starts import Book
from taskiq_core_brokers_sqlite.connection import Connection
from taskiq_core_brokers_sqlite.statements import as_set, insert_rows

START, BOOKING, RECALL = 0, 1, 2
_CHUNK = 100


class RowTimes:
    """Times of one kind of one rate that are later than `since`, of which the newest `reach` matter."""

    def __init__(self, conn: Connection, place: tuple[str, int], since: float, reach: int) -> None:
        self.added: list[float] = []
        self._conn, self._place, self._since, self._reach = conn, place, since, reach
        self._stored: int | None = None
        self._later: tuple[float, int] | None = None
        self._read: dict[int, float] = {}

    def __len__(self) -> int:
        if self._stored is None:
            self._stored = self._count(self._since)
        return self._stored + len(self.added)

    def newest(self, n: int) -> float:
        return self.added[-n] if n <= len(self.added) else self._newest_stored(n - len(self.added))

    def after(self, moment: float) -> int:
        if self._later is None or self._later[0] != moment:
            self._later = (moment, self._count(max(moment, self._since)))
        return self._later[1] + len(self.added) - bisect_right(self.added, moment)

    def add(self, time: float) -> None:
        insort(self.added, time)

    def _count(self, since: float) -> int:
        statement = "SELECT count(*) FROM (SELECT 1 FROM taskiq_times WHERE key = ? AND kind = ? AND at > ? LIMIT ?)"
        return int(self._conn.execute(statement, (*self._place, since, self._reach)).fetchone()[0])

    def _newest_stored(self, n: int) -> float:
        if n not in self._read:
            # Whatever is added moves the place that is looked for towards the newest: so those are read along.
            first = max(0, n - _CHUNK)
            statement = "SELECT at FROM taskiq_times WHERE key = ? AND kind = ? ORDER BY at DESC LIMIT ? OFFSET ?"
            rows = self._conn.execute(statement, (*self._place, n - first, first)).fetchall()
            self._read.update((place, float(at)) for place, (at,) in enumerate(rows, first + 1))
        return self._read[n]


class RowLedger:
    """A ledger for `decide`, for the length of one transaction."""

    def __init__(self, conn: Connection, now: float, requests: Sequence[AdmissionRequest]) -> None:
        self.now = now
        self._conn = conn
        names = {limit.setting for item in requests for limits in (item.slots, item.rates) for limit in limits}
        self._settings = read_values(conn, now, {name for name in names if name is not None})
        self._held = self._read_held([(place.key, item.holder) for item in requests for place in item.slots])
        self._taken: dict[str, int] = {}
        self._occupied: dict[tuple[str, str], float] = {}
        self._books: dict[RateLimit, tuple[Book, bytes, list[RowTimes]]] = {}

    def setting(self, name: str | None) -> bytes | None:
        return None if name is None else self._settings.get(name)

    def holds(self, key: str, holder: str) -> bool:
        return (key, holder) in self._held

    def free(self, key: str, limit: int) -> int:
        if key not in self._taken:
            self._taken[key] = taken_slots(self._conn, self.now, key)
        return limit - self._taken[key]

    def occupy(self, key: str, holder: str, ttl: float) -> None:
        if (key, holder) not in self._held:
            self._held.add((key, holder))
            self._taken[key] += 1
        self._occupied[key, holder] = self.now + ttl

    def book(self, rate: RateLimit) -> Book:
        if rate not in self._books:
            self._books[rate] = self._open(rate)
        return self._books[rate][0]

    def write(self) -> None:
        """Keep what was decided."""
        slots = [(*place, end) for place, end in self._occupied.items()]
        again = "ON CONFLICT (key, holder) DO UPDATE SET expires = excluded.expires"
        insert_rows(self._conn, "INSERT INTO taskiq_slots (key, holder, expires)", 3, slots, again)
        rows: list[tuple[str, int, float, bytes, float]] = []
        for book, terms, lists in self._books.values():
            stays = (book.rate.window, book.rate.pace, 0.0)
            for kind, (times, more) in enumerate(zip(lists, stays, strict=True)):
                rows += [(book.rate.key, kind, at, terms, at + more) for at in times.added]
        insert_rows(self._conn, "INSERT INTO taskiq_times (key, kind, at, terms, expires)", 5, rows)

    def _read_held(self, places: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        statement = """SELECT slot.key, slot.holder FROM json_each(?) AS asked JOIN taskiq_slots AS slot
                       ON slot.key = json_extract(asked.value, '$[0]') AND slot.holder = json_extract(asked.value, '$[1]')
                       WHERE slot.expires > ?"""
        rows = self._conn.execute(statement, (json.dumps(places), self.now)).fetchall() if places else []
        return {(key, holder) for key, holder in rows}

    def _open(self, asked: RateLimit) -> tuple[Book, bytes, list[RowTimes]]:
        value = self.setting(asked.setting)
        changed = changed_rate(asked, value)
        rate, terms = (asked, b"") if changed is None or value is None else (changed, value)
        self._forget_what_is_void(rate, terms)
        sinces = (self.now - rate.window, self.now - rate.pace, self.now)
        lists = [RowTimes(self._conn, (rate.key, kind), since, rate.limit) for kind, since in enumerate(sinces)]
        return Book(rate, lists[START], lists[BOOKING], lists[RECALL]), terms, lists

    def _forget_what_is_void(self, rate: RateLimit, terms: bytes) -> None:
        """Times given under other terms, or before the machine's clock was set back."""
        back = "UPDATE taskiq_times SET at = ?1, expires = ?1 + ?2 WHERE key = ?3 AND kind = ?4 AND at > ?1"
        void = self._conn.execute(back, (self.now, rate.window, rate.key, START)).rowcount > 0
        last = "SELECT terms FROM taskiq_times WHERE key = ? AND kind = ? ORDER BY at DESC LIMIT 1"
        row = self._conn.execute(last, (rate.key, BOOKING)).fetchone()
        if void or (row is not None and row[0] != terms):
            self._conn.execute("DELETE FROM taskiq_times WHERE key = ? AND kind <> ?", (rate.key, START))


def taken_slots(conn: Connection, now: float, key: str) -> int:
    """How many slots have holders."""
    return int(conn.execute("SELECT count(*) FROM taskiq_slots WHERE key = ? AND expires > ?", (key, now)).fetchone()[0])


def read_values(conn: Connection, now: float, keys: set[str]) -> dict[str, bytes]:
    """Values that have not expired."""
    statement = """SELECT key, value FROM taskiq_values
                   WHERE key IN (SELECT value FROM json_each(?)) AND (expires IS NULL OR expires > ?)"""
    rows = conn.execute(statement, (as_set(keys), now)).fetchall() if keys else []
    return {key: bytes(value) for key, value in rows}
