"""Atomic steps in PostgreSQL."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, Coordinator, SlotLimit
from taskiq_core_result_backends_postgres.stored import OnTables

_CLAIM = "SELECT taskiq.claim($1, $2, $3)"
_HOLDERS = "SELECT key, owner FROM taskiq.claims WHERE key = ANY ($1::text[]) AND expires > taskiq.moment()"
_RELEASE = "SELECT taskiq.release($1, $2)"
_ADMIT = "SELECT taskiq.admit($1, $2::text::jsonb, $3::text::jsonb)"
_LEAVE = "SELECT taskiq.leave($1, $2, $3, $4)"
_GET = """SELECT key, value FROM taskiq.stored_values
          WHERE key = ANY ($1::text[]) AND (expires IS NULL OR expires > taskiq.moment())"""
_PUT = "SELECT taskiq.put($1, $2, $3)"
_ADD = "SELECT taskiq.add($1, $2, $3)"
_ARRIVE = "SELECT taskiq.arrive($1, $2, $3, $4)"
_FORGET = "SELECT taskiq.forget($1)"


class PostgresCoordinator(OnTables, Coordinator):
    """Every call is one statement, which is one transaction; time is the server's.

    What changes several keys waits for others in one order, so nobody waits in a circle; each transaction is over before its
    answer comes, so a client that hangs keeps nobody waiting.
    """

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        if not claims:
            return []
        columns = zip(*((item.key, item.owner, item.ttl) for item in claims), strict=True)
        answers: list[bool] = await self._step(_CLAIM, *columns)
        return answers

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        return dict(await self.ask(_HOLDERS, list(keys))) if keys else {}

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        if claims:
            await self._step(_RELEASE, *zip(*claims, strict=True))

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        if not requests:
            return []
        rates = {rate: place for place, rate in enumerate(dict.fromkeys(_all(item.rates for item in requests)), 1)}
        keys = {limit.key for limit in (*_all(item.slots for item in requests), *rates)}
        rows = [
            (
                *(item.holder, str(item.ttl), [(place.key, place.limit, place.setting) for place in item.slots]),
                *([rates[rate] for rate in item.rates], item.booked, str(item.patience)),
            )
            for item in requests
        ]
        declared = [(rate.key, rate.limit, str(rate.window), str(rate.pace), rate.setting) for rate in rates]
        answers: list[float] = await self._step(_ADMIT, keys, json.dumps(declared), json.dumps(rows))
        return [
            Admission(full=item.slots[-int(answer) - 1].key) if answer < 0 else Admission(wait=answer)
            for item, answer in zip(requests, answers, strict=True)
        ]

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        if not places:
            return []
        rows = [(holder, place.key, place.limit, place.setting) for holder, place in places]
        free: list[int] = await self._step(_LEAVE, *zip(*rows, strict=True))
        return free

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        return dict(await self.ask(_GET, list(keys))) if keys else {}

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        if entries:
            await self._step(_PUT, list(entries), list(entries.values()), ttl)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        if not amounts:
            return {}
        totals: list[int] = await self._step(_ADD, list(amounts), list(amounts.values()), ttl)
        return dict(zip(amounts, totals, strict=True))

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        return bool(await self._step(_ARRIVE, key, list(members), expected, ttl))

    async def forget(self, keys: Sequence[str]) -> None:
        if keys:
            await self._step(_FORGET, list(keys))

    async def _step(self, statement: str, *arguments: Any) -> Any:
        ((answer,),) = await self.ask(statement, *arguments)
        return answer


def _all(limits: Iterable[Sequence[Any]]) -> Iterable[Any]:
    return (limit for few in limits for limit in few)
