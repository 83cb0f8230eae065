"""Atomic steps in memory: no method suspends, so that each is one step for everybody on the loop."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskiq_core.abc.coordinator import Claim, Coordinator, SlotRequest, TokenRequest
from taskiq_core.stores.expiring import ExpiringDict, deadline_of


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
            for table in (self._claims, self._slots, self._buckets, self._counters, self._joins):
                table.drop(key)

    def _claim(self, item: Claim) -> bool:
        holder = self._claims.get(item.key)
        if holder is not None and holder != item.owner:
            return False
        self._claims.put(item.key, item.owner, deadline_of(item.ttl))
        return True

    def _acquire(self, item: SlotRequest) -> bool:
        now = time.monotonic()
        held = {holder: end for holder, end in (self._slots.get(item.key) or {}).items() if end > now}
        granted = item.holder in held or len(held) < item.limit
        if granted:
            held[item.holder] = now + item.ttl
        self._slots.put(item.key, held, max(held.values(), default=now))
        return granted

    def _take(self, item: TokenRequest) -> float:
        now = time.monotonic()
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
