"""Atomic steps in Redis."""

import math
from collections.abc import Mapping, Sequence

from taskiq_core.abc.coordinator import Claim, Coordinator, SlotRequest, TokenRequest
from taskiq_core.exceptions import ResultBackendError
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis.steps import milliseconds, step, take_step
from taskiq_core_result_backends_redis.stored import OnRedis, as_error

_CLAIM, _RELEASE = step("claim"), step("release")
_ACQUIRE, _RELEASE_SLOTS = step("acquire"), step("release_slots")
_TAKE, _ADD, _ARRIVE = step("take"), step("add"), step("arrive")
_KINDS = ("claim", "slots", "bucket", "counter", "join", "joined")


class RedisCoordinator(OnRedis, Coordinator):
    """Every call is one script; time is the server's, and every key has a time to live.

    When Redis has no memory left, new claims and all counters are refused. What workers need in order to finish tasks is not:
    slots, tokens, joins, renewing claims, and giving anything up.
    """

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        rows = [(item.key, item.owner, milliseconds(item.ttl)) for item in claims]
        return [answer == 1 for answer in await self._each(_CLAIM, rows)]

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await self._each(_RELEASE, claims)

    async def acquire_slots(self, requests: Sequence[SlotRequest]) -> list[bool]:
        rows = [(item.key, item.holder, item.limit, milliseconds(item.ttl)) for item in requests]
        return [answer == 1 for answer in await self._each(_ACQUIRE, rows)]

    async def release_slots(self, slots: Sequence[tuple[str, str]]) -> None:
        await self._each(_RELEASE_SLOTS, slots)

    async def take_tokens(self, requests: Sequence[TokenRequest]) -> list[float]:
        rows = [(item.key, item.rate, item.burst, item.tokens) for item in requests]
        return [math.inf if wait < 0 else wait / 1e6 for wait in await self._each(_TAKE, rows)]

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        values = await self._each(_ADD, list(amounts.items()), milliseconds(ttl))
        return dict(zip(amounts, map(int, values), strict=True))

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        answer: int = await take_step(self, _ARRIVE, key, expected, milliseconds(ttl), *members)
        return answer == 1

    async def forget(self, keys: Sequence[str]) -> None:
        if keys:
            names = [f"{self.location.root}:{kind}:{key}" for key in keys for kind in _KINDS]
            with as_error(ResultBackendError):
                await self.require_commands().call("UNLINK", *names)

    async def _each(self, script: Script, rows: Sequence[tuple[Argument, ...]], *common: Argument) -> list[int]:
        if not rows:
            return []
        answers: list[int] = await take_step(self, script, *common, *(part for row in rows for part in row))
        return answers
