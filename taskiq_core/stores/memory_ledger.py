"""Slots, starts and times given, in memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from taskiq_core import clock
from taskiq_core.abc.coordinator import Admission, AdmissionRequest, RateLimit
from taskiq_core.stores.admission import decide
from taskiq_core.stores.expiring import ExpiringDict
from taskiq_core.stores.limit_settings import changed_rate
from taskiq_core.stores.starts import Book, TimesInMemory


@dataclass(slots=True)
class _Holders:
    ends: dict[str, float] = field(default_factory=dict[str, float])
    first_end: float = math.inf
    """None ends earlier."""
    last_end: float = 0.0
    """None ends later."""

    def forget(self, until: float) -> None:
        """Drop those that ended up to a moment."""
        if self.first_end <= until:
            self.ends = {holder: end for holder, end in self.ends.items() if end > until}
            self.first_end = min(self.ends.values(), default=math.inf)


@dataclass(slots=True)
class RateInMemory:
    """Starts, and times given."""

    terms: bytes = b""
    """The setting under which times were given; none for the limit that the request brings."""
    starts: TimesInMemory = field(default_factory=TimesInMemory)
    bookings: TimesInMemory = field(default_factory=TimesInMemory)
    recalls: TimesInMemory = field(default_factory=TimesInMemory)


class MemoryLedger:
    """A ledger for `decide`."""

    def __init__(self, values: ExpiringDict[str, bytes]) -> None:
        self.now = 0.0
        self._values = values
        self._books: dict[RateLimit, Book] = {}
        self._slots: ExpiringDict[str, _Holders] = ExpiringDict()
        self._rates: ExpiringDict[str, RateInMemory] = ExpiringDict()

    def at(self, now: float) -> "MemoryLedger":
        """The same, at a moment."""
        self.now = now
        return self

    def decide_all(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        """One after the other, at this moment."""
        self.now = clock.monotonic()
        answers = [decide(self, request) for request in requests]
        for book in self._books.values():
            known = self._rates.get(book.rate.key)
            if known is not None:
                self._rates.put(book.rate.key, known, book.end)
        self._books.clear()
        return answers

    def setting(self, name: str | None) -> bytes | None:
        return None if name is None else self._values.get(name)

    # -- slots -------------------------------------------------------------------------------------------------------------

    def holds(self, key: str, holder: str) -> bool:
        held = self._slots.get(key)
        return held is not None and held.ends.get(holder, 0.0) > self.now

    def free(self, key: str, limit: int) -> int:
        held = self._slots.get(key)
        if held is None:
            return limit
        held.forget(self.now)
        return limit - len(held.ends)

    def occupy(self, key: str, holder: str, ttl: float) -> None:
        held = self._slots.get(key) or _Holders()
        held.ends[holder] = self.now + ttl
        held.first_end = min(held.first_end, self.now + ttl)
        held.last_end = max(held.last_end, self.now + ttl)
        self._slots.put(key, held, held.last_end)

    def vacate(self, key: str, holder: str) -> None:
        """Give up a slot."""
        held = self._slots.get(key)
        if held is not None:
            held.ends.pop(holder, None)

    # -- rates -------------------------------------------------------------------------------------------------------------

    def book(self, rate: RateLimit) -> Book:
        book = self._books.get(rate)
        if book is None:
            book = self._books[rate] = self._open(rate)
        return book

    def _open(self, asked: RateLimit) -> Book:
        value = self.setting(asked.setting)
        changed = changed_rate(asked, value)
        rate, terms = (asked, b"") if changed is None or value is None else (changed, value)
        known = self.rate(rate.key)
        if known.terms != terms:
            known.terms = terms
            known.bookings.forget(math.inf)
            known.recalls.forget(math.inf)
        known.starts.forget(self.now - rate.window)
        known.bookings.forget(self.now - rate.pace)
        known.bookings.keep(rate.limit)
        known.recalls.forget(self.now)
        return Book(rate, known.starts, known.bookings, known.recalls)

    def rate(self, key: str) -> RateInMemory:
        """What is kept of a rate."""
        known = self._rates.get(key)
        if known is None:
            known = RateInMemory()
            self._rates.put(key, known)
        return known

    def forget(self, key: str) -> None:
        """Drop everything under the key."""
        self._slots.drop(key)
        self._rates.drop(key)
