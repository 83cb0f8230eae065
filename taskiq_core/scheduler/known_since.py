"""Since when a schedule has been known to any scheduler, so that a new one is not taken for a missed one."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from taskiq_core.abc.coordinator import Claim, ClaimStore
from taskiq_core.scheduler.agenda import Entry
from taskiq_core.scheduler.fire import GRACE

_SKEW: Final = timedelta(seconds=60)
"""How far the clocks of two schedulers may differ."""


class KnownSince:
    """One counter per schedule in the coordinator: the time of its first sight in milliseconds since the epoch.

    It lives as long as some scheduler renews it, and for as long after as the schedule's misfire policy looks back.
    """

    def __init__(self, coordinator: ClaimStore, refresh_interval: float) -> None:
        self._coordinator = coordinator
        self._slack = 2 * refresh_interval
        self._owner = uuid4().hex

    async def read(self, entries: Iterable[Entry], now: datetime) -> dict[str, datetime]:
        """Renew these and return, by key, since when they are known; those not known before are left out."""
        keys_by_ttl: dict[float, list[str]] = defaultdict(list)
        for entry in entries:
            if not entry.one_off:
                keys_by_ttl[entry.looks_back.total_seconds() + self._slack].append(entry.key)
        known: dict[str, datetime] = {}
        for ttl, keys in keys_by_ttl.items():
            values = await self._coordinator.add({_counter(key): 0 for key in keys}, ttl)
            since = {key: datetime.fromtimestamp(values[_counter(key)] / 1000, UTC) for key in keys}
            wrong = [key for key in keys if since[key] > now + _SKEW]
            await self.forget(wrong)
            await self._note([key for key in keys if values[_counter(key)] == 0], now, ttl)
            known.update({key: then for key, then in since.items() if values[_counter(key)] and key not in wrong})
        return known

    async def forget(self, keys: Collection[str]) -> None:
        """From now on these are unknown."""
        if keys:
            await self._coordinator.forget([_counter(key) for key in keys])

    async def _note(self, keys: list[str], now: datetime, ttl: float) -> None:
        if not keys:
            return
        # Counters only add, so of several schedulers that see a 0 one may write. One that paused here long enough for
        # another to write too makes a sum, which lies in the future and is forgotten above.
        claims = [Claim(f"{_counter(key)}:first", self._owner, GRACE.total_seconds()) for key in keys]
        won = await self._coordinator.claim(claims)
        moment = int(now.timestamp() * 1000)
        first = {_counter(key): moment for key, mine in zip(keys, won, strict=True) if mine}
        if first:
            await self._coordinator.add(first, ttl)


def _counter(key: str) -> str:
    return f"schedule:{key}"
