"""Atomic steps in memory: no method suspends, so that each is one step for everybody on the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from taskiq_core import clock
from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, Coordinator, SlotLimit
from taskiq_core.stores.expiring import ExpiringDict, deadline_of
from taskiq_core.stores.limit_settings import slots_of
from taskiq_core.stores.memory_ledger import MemoryLedger


@dataclass(slots=True)
class _Join:
    members: set[str] = field(default_factory=set[str])
    complete: bool = False


class MemoryCoordinator(Coordinator):
    """For one event loop; forgets everything with its process."""

    cross_process = False

    def __init__(self) -> None:
        self._claims: ExpiringDict[str, str] = ExpiringDict()
        self._values: ExpiringDict[str, bytes] = ExpiringDict()
        self._ledger = MemoryLedger(self._values)
        self._counters: ExpiringDict[str, int] = ExpiringDict()
        self._joins: ExpiringDict[str, _Join] = ExpiringDict()

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return [self._claim(item) for item in claims]

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        for key, owner in claims:
            if self._claims.get(key) == owner:
                self._claims.drop(key)

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return self._ledger.decide_all(requests)

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        ledger = self._ledger.at(clock.monotonic())
        for holder, place in places:
            ledger.vacate(place.key, holder)
        return [max(0, ledger.free(place.key, slots_of(place, ledger.setting(place.setting)))) for _, place in places]

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
            self._ledger.forget(key)
            for table in (self._claims, self._values, self._counters, self._joins):
                table.drop(key)

    def _claim(self, item: Claim) -> bool:
        holder = self._claims.get(item.key)
        if holder is not None and holder != item.owner:
            return False
        self._claims.put(item.key, item.owner, deadline_of(item.ttl))
        return True
