"""Claims and counters in buckets: every change says which revision it replaces, so of two that meet one tries again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from taskiq_core.abc.coordinator import Claim, ClaimStore
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_result_backends_nats.bucket import Bucket, Entry
from taskiq_core_schedule_sources_nats.server_clock import ServerClock, moment_of

LONGEST_CLAIM: Final = 8 * 86400.0
"""Seconds; what is older the server deletes by itself."""


class _Lease(NamedTuple):
    """Something that is valid for a while from the moment when it was stored."""

    what: Any
    ttl: float

    def ends_after(self, entry: Entry, now: float) -> bool:
        return now < moment_of(entry) + self.ttl


class BucketClaims(ClaimStore):
    """On two buckets: claims, and counters, which may live for years. All methods raise `NatsError`.

    What this process asks for at the same time it asks for in turn, so that it does not compete with itself.
    """

    def __init__(self, connection: Connection, name: str, replicas: int) -> None:
        self._claims = Bucket(connection, f"{name}_claims", max_age=LONGEST_CLAIM, replicas=replicas)
        self._counters = Bucket(connection, f"{name}_counters", replicas=replicas)
        self._clock = ServerClock(self._claims)
        self._turn = asyncio.Lock()

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        if any(item.ttl > LONGEST_CLAIM for item in claims):
            msg = f"NATS keeps a claim for {LONGEST_CLAIM / 86400:g} days at most."
            raise ValueError(msg)
        granted = [False] * len(claims)

        async def once(wave: Sequence[int]) -> list[int]:
            found, now = await self._claims.get([claims[n].key for n in wave]), await self._clock.now()
            free = [n for n in wave if _holder(found.get(claims[n].key), now) in (None, claims[n].owner)]
            asked = [(claims[n].key, pack([claims[n].owner, claims[n].ttl]), _revision(found, claims[n].key)) for n in free]
            taken = await self._claims.replace(asked)
            for n, was_taken in zip(free, taken, strict=True):
                granted[n] = was_taken
            return [n for n, was_taken in zip(free, taken, strict=True) if not was_taken]

        async with self._turn:
            await _in_waves([item.key for item in claims], once)
        return granted

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        found, now = await self._claims.get(list(dict.fromkeys(keys))), await self._clock.now()
        holders = ((key, _holder(entry, now)) for key, entry in found.items())
        return {key: holder for key, holder in holders if holder is not None}

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        found = await self._claims.get(list({key for key, _ in claims}))
        theirs = {found[key].revision for key, owner in claims if key in found and _lease(found[key]).what == owner}
        await self._claims.delete(theirs)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        keys, values = list(amounts), dict[str, int]()

        async def once(wave: Sequence[int]) -> list[int]:
            found, now = await self._counters.get([keys[n] for n in wave]), await self._clock.now()
            for key in (keys[n] for n in wave):
                values[key] = _count(found.get(key), now) + amounts[key]
            kept = [n for n in wave if values[keys[n]] or keys[n] in found]  # one that is 0 need not be there
            asked = [(keys[n], pack([values[keys[n]], ttl]), _revision(found, keys[n])) for n in kept]
            stored = await self._counters.replace(asked)
            return [n for n, was_stored in zip(kept, stored, strict=True) if not was_stored]

        async with self._turn:
            await _in_waves(keys, once)
        return values

    async def forget(self, keys: Sequence[str]) -> None:
        await self._claims.purge(keys)
        await self._counters.purge(keys)

    async def sweep(self) -> None:
        """Delete the counters that have expired."""
        found = await self._counters.at(await self._counters.subjects())
        now = await self._clock.now() if found else 0.0
        await self._counters.delete(entry.revision for entry in found.values() if not _lease(entry).ends_after(entry, now))


async def _in_waves(keys: Sequence[str], once: Callable[[Sequence[int]], Awaitable[Sequence[int]]]) -> None:
    """Decide the items with these keys; `once` takes the numbers of some, no key twice, and returns whose turn comes again."""
    waiting: list[int] = list(range(len(keys)))
    while waiting:
        first: dict[str, int] = {keys[n]: n for n in reversed(waiting)}
        again = set(await once(sorted(first.values())))
        waiting = [n for n in waiting if n in again or first[keys[n]] != n]


def _lease(entry: Entry) -> _Lease:
    return _Lease(*unpack(entry.value))


def _holder(entry: Entry | None, now: float) -> str | None:
    return None if entry is None or not _lease(entry).ends_after(entry, now) else _lease(entry).what


def _count(entry: Entry | None, now: float) -> int:
    return 0 if entry is None or not _lease(entry).ends_after(entry, now) else _lease(entry).what


def _revision(found: Mapping[str, Entry], key: str) -> int:
    return found[key].revision if key in found else 0
