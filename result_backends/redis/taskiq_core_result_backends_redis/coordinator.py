"""Atomic steps in Redis."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, Coordinator, RateLimit, SlotLimit
from taskiq_core.exceptions import ResultBackendError
from taskiq_core.server_results import as_result_error
from taskiq_core.wire import pack
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis.steps import milliseconds, step, take_step
from taskiq_core_result_backends_redis.stored import OnRedis

_CLAIM, _RELEASE = step("claim"), step("release")
_ADMIT, _LEAVE, _PUT = step("slots", "times", "admit"), step("slots", "leave"), step("put")
_ADD, _ARRIVE = step("add"), step("arrive")
_KINDS = ("claim", "slots", "starts", "bookings", "recalls", "value", "counter", "join", "joined")

L = TypeVar("L", SlotLimit, RateLimit)


class RedisCoordinator(OnRedis, Coordinator):
    """Every call is one script or command; time is the server's. Every key has a time to live, but for values put for ever.

    When Redis has no memory left, new claims, values and all counters are refused. What workers need in order to finish tasks
    is not: slots, starts, joins, renewing claims, and giving anything up.
    """

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        rows = [(item.key, item.owner, milliseconds(item.ttl)) for item in claims]
        return [answer == 1 for answer in await self._each(_CLAIM, rows)]

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await self._each(_RELEASE, claims)

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        return {key: owner.decode() for key, owner in (await self._read("claim", keys)).items()}

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        if not requests:
            return []
        slots, rates = _numbered(item.slots for item in requests), _numbered(item.rates for item in requests)
        rows = [
            (*_terms(item), [slots[place] for place in item.slots], [rates[rate] for rate in item.rates]) for item in requests
        ]
        batch = ([_slots(place) for place in slots], [_rate(rate) for rate in rates], rows)
        answers: list[int] = await take_step(self, _ADMIT, pack(batch), f"{random.getrandbits(64):x}")
        places = list(slots)
        return [Admission(full=places[-n - 1].key) if n < 0 else Admission(wait=n / 1e6) for n in answers]

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        if not places:
            return []
        free: list[int] = await take_step(self, _LEAVE, pack([(holder, _slots(place)) for holder, place in places]))
        return free

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return await self._read("value", keys)

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        kept = [part for key, value in entries.items() if value is not None for part in (key, value)]
        gone = [key for key, value in entries.items() if value is None]
        if entries:
            await take_step(self, _PUT, 0 if ttl is None else milliseconds(ttl), len(kept) // 2, *kept, *gone)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        values = await self._each(_ADD, list(amounts.items()), milliseconds(ttl))
        return dict(zip(amounts, map(int, values), strict=True))

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        answer: int = await take_step(self, _ARRIVE, key, expected, milliseconds(ttl), *members)
        return answer == 1

    async def forget(self, keys: Sequence[str]) -> None:
        if keys:
            names = [f"{self.location.root}:{kind}:{key}" for key in keys for kind in _KINDS]
            with as_result_error(ResultBackendError):
                await self.require_commands().call("UNLINK", *names)

    async def _read(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        if not keys:
            return {}
        with as_result_error(ResultBackendError):
            found: list[bytes | None] = await self.require_commands().call(
                "MGET", *(f"{self.location.root}:{kind}:{key}" for key in keys)
            )
        return {key: value for key, value in zip(keys, found, strict=True) if value is not None}

    async def _each(self, script: Script, rows: Sequence[tuple[Argument, ...]], *common: Argument) -> list[int]:
        if not rows:
            return []
        answers: list[int] = await take_step(self, script, *common, *(part for row in rows for part in row))
        return answers


def _numbered(limits: Iterable[Sequence[L]]) -> dict[L, int]:
    """Each limit once, with its number, from 1 on."""
    return {limit: number for number, limit in enumerate(dict.fromkeys(limit for few in limits for limit in few), 1)}


def _terms(item: AdmissionRequest) -> tuple[object, ...]:
    return item.holder, milliseconds(item.ttl), item.booked, 1e6 * item.patience


def _rate(rate: RateLimit) -> tuple[object, ...]:
    return rate.key, rate.limit, rate.window, rate.pace, _name(rate.setting)


def _slots(place: SlotLimit) -> tuple[object, ...]:
    return place.key, place.limit, _name(place.setting)


def _name(setting: str | None) -> str | bool:
    # Lua's lists end at a value that is nothing.
    return False if setting is None else setting
