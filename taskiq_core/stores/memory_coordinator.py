"""Atomic steps in memory: no method suspends, so that each is one step for everybody on the loop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskiq_core import clock
from taskiq_core.abc.coordinator import (
    Admission,
    AdmissionRequest,
    Claim,
    Coordinator,
    RateLimit,
    SlotLimit,
    SlotRequest,
    TokenRequest,
)
from taskiq_core.stores.expiring import ExpiringDict, deadline_of
from taskiq_core.stores.starts import Starts


@dataclass(slots=True)
class _Join:
    members: set[str] = field(default_factory=set[str])
    complete: bool = False


class MemoryCoordinator(Coordinator):
    """For one event loop; forgets everything with its process."""

    cross_process = False

    def __init__(self) -> None:
        self._claims: ExpiringDict[str, str] = ExpiringDict()
        self._slots: ExpiringDict[str, dict[str, float]] = ExpiringDict()
        self._buckets: ExpiringDict[str, tuple[float, float]] = ExpiringDict()
        self._starts: ExpiringDict[str, Starts] = ExpiringDict()
        self._values: ExpiringDict[str, bytes] = ExpiringDict()
        self._counters: ExpiringDict[str, int] = ExpiringDict()
        self._joins: ExpiringDict[str, _Join] = ExpiringDict()

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return [self._claim(item) for item in claims]

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        for key, owner in claims:
            if self._claims.get(key) == owner:
                self._claims.drop(key)

    async def acquire_slots(self, requests: Sequence[SlotRequest]) -> list[bool]:
        return [self._acquire(item) for item in requests]

    async def release_slots(self, slots: Sequence[tuple[str, str]]) -> None:
        for key, holder in slots:
            (self._slots.get(key) or {}).pop(holder, None)

    async def take_tokens(self, requests: Sequence[TokenRequest]) -> list[float]:
        return [self._take(item) for item in requests]

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return [self._admit(item) for item in requests]

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        for holder, place in places:
            (self._slots.get(place.key) or {}).pop(holder, None)
        return [max(0, self._slot_limit(place) - len(self._holders(place.key))) for _, place in places]

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        return {key: owner for key in keys if (owner := self._claims.get(key)) is not None}

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: value for key in keys if (value := self._values.get(key)) is not None}

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        for key, value in entries.items():
            if value is None:
                self._values.drop(key)
            else:
                self._values.put(key, value, deadline_of(ttl))

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        values = {key: (self._counters.get(key) or 0) + amount for key, amount in amounts.items()}
        for key, value in values.items():
            self._counters.put(key, value, deadline_of(ttl))
        return values

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        join = self._joins.get(key) or _Join()
        join.members.update(members)
        completes = not join.complete and len(join.members) >= expected
        join.complete = join.complete or completes
        self._joins.put(key, join, deadline_of(ttl))
        return completes

    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            for table in (self._claims, self._slots, self._buckets, self._starts, self._values, self._counters, self._joins):
                table.drop(key)

    def _claim(self, item: Claim) -> bool:
        holder = self._claims.get(item.key)
        if holder is not None and holder != item.owner:
            return False
        self._claims.put(item.key, item.owner, deadline_of(item.ttl))
        return True

    # -- admission ---------------------------------------------------------------------------------------------------------

    def _admit(self, item: AdmissionRequest) -> Admission:
        now = clock.monotonic()
        for place in item.slots:
            held = self._holders(place.key)
            if item.holder not in held and len(held) >= self._slot_limit(place):
                return Admission(full=place.key)
        wait = self._wait_for_rates(item, now)
        if wait > 0:
            return Admission(wait=wait)
        for place in item.slots:
            held = self._holders(place.key)
            held[item.holder] = now + item.ttl
            self._slots.put(place.key, held, max(held.values()))
        return Admission()

    def _wait_for_rates(self, item: AdmissionRequest, now: float) -> float:
        books = [self._book(rate) for rate in item.rates]
        opens = max((book.opens_at(now) for book in books), default=now)
        if item.booked and opens - now <= max((book.patience for book in books), default=0.0):
            if opens <= now:
                for book in books:
                    book.start(now)
            return max(0.0, opens - now)
        time_given = max((book.next_time(now) for book in books), default=now)
        for book in books:
            book.give(max(opens, time_given))
            if max(opens, time_given) <= now:
                book.start(now)
        return max(opens, time_given) - now

    def _book(self, rate: RateLimit) -> Starts:
        limit, window, pace = float(rate.limit), rate.window, rate.pace
        if rate.setting is not None and (changed := self._values.get(rate.setting)) is not None:
            limit, window, pace = map(float, changed.split())
        book = self._starts.get(rate.key) or Starts()
        book.adjust(int(limit), window, pace)
        self._starts.put(rate.key, book, clock.monotonic() + book.expires_in(clock.monotonic()))
        return book

    def _holders(self, key: str) -> dict[str, float]:
        now = clock.monotonic()
        return {holder: end for holder, end in (self._slots.get(key) or {}).items() if end > now}

    def _slot_limit(self, place: SlotLimit) -> int:
        changed = None if place.setting is None else self._values.get(place.setting)
        return place.limit if changed is None else int(changed)

    def _acquire(self, item: SlotRequest) -> bool:
        now = clock.monotonic()
        held = {holder: end for holder, end in (self._slots.get(item.key) or {}).items() if end > now}
        granted = item.holder in held or len(held) < item.limit
        if granted:
            held[item.holder] = now + item.ttl
        self._slots.put(item.key, held, max(held.values(), default=now))
        return granted

    def _take(self, item: TokenRequest) -> float:
        now = clock.monotonic()
        tokens, then = self._buckets.get(item.key) or (item.burst, now)
        tokens = min(item.burst, tokens + (now - then) * item.rate)
        missing = item.tokens - tokens
        if missing <= 0:
            tokens -= item.tokens
        # A full bucket is the same as none, so an entry lives only until it would be full.
        self._buckets.put(item.key, (tokens, now), now + _seconds(item.burst - tokens, item.rate))
        if missing <= 0:
            return 0.0
        return math.inf if item.tokens > item.burst else _seconds(missing, item.rate)


def _seconds(tokens: float, rate: float) -> float:
    return tokens / rate if rate > 0 else math.inf
