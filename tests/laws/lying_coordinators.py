"""Coordinators that are each wrong in one way."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio.lowlevel

from taskiq_core.abc import Admission, AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.result_backends.inmemory import InMemoryResultBackend

Memory = InMemoryResultBackend[Any]


class NotAtomic(Memory):
    """Looks, lets others run, then writes what it saw."""

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        won = [self._claims.get(item.key) in (None, item.owner) for item in claims]
        await anyio.lowlevel.checkpoint()
        await super().claim([item for item, wins in zip(claims, won, strict=True) if wins])
        return won

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return await self._apart(self._ledger, super().admit, requests)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        return await self._apart(self._counters, super().add, amounts, ttl)

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        await super().arrive(key, members, expected + 1, ttl)
        await anyio.lowlevel.checkpoint()
        join = self._joins.get(key)
        return join is not None and len(join.members) >= expected

    async def _apart(self, table: Any, act: Any, *arguments: Any) -> Any:
        before = copy.deepcopy(table.__dict__)
        outcome = await act(*arguments)
        after, table.__dict__ = table.__dict__, before
        await anyio.lowlevel.checkpoint()
        table.__dict__ = after
        return outcome


class NothingExpires(Memory):
    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return await super().claim([Claim(item.key, item.owner, 1e6) for item in claims])

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return await super().admit([replace(item, ttl=1e6) for item in requests])

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        await super().put(entries)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        return await super().add(amounts, 1e6)


class RenewsNothingByZero(Memory):
    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        changed = {key: amount for key, amount in amounts.items() if amount}
        values = await super().add(changed, ttl)
        return {key: values.get(key, self._counters.get(key) or 0) for key in amounts}


class CountsFromOne(Memory):
    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        return await super().add({key: amount or 1 for key, amount in amounts.items()}, ttl)


class AnyoneReleases(Memory):
    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        for key, _ in claims:
            self._claims.drop(key)


class ForgetsOnlyClaims(Memory):
    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._claims.drop(key)


class AnyoneClaims(Memory):
    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        await super().claim(claims)
        return [True] * len(claims)


class CompletesAgain(Memory):
    """Whoever arrives at a complete join is told that it is."""

    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        await super().arrive(key, members, expected, ttl)
        join = self._joins.get(key)
        return join is not None and join.complete


class RemembersHolders(Memory):
    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        self.seen: dict[str, str] = getattr(self, "seen", {}) | dict(self._claims.items())
        return {key: self.seen[key] for key in keys if key in self.seen}


# -- admission -------------------------------------------------------------------------------------------------------------


class Altered(Memory):
    """Decides on other requests than were made."""

    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, rates=[self.alter_rate(rate) for rate in item.rates])

    def alter_rate(self, rate: RateLimit) -> RateLimit:
        return rate

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return await super().admit([self.alter(item) for item in requests])


class OneSlotMore(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, slots=[replace(place, limit=place.limit + 1) for place in item.slots])


class RenewsNoSlots(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        held = [place for place in item.slots if self._ledger.holds(place.key, item.holder)]
        return replace(item, slots=[place for place in item.slots if place not in held])


class LeavesOneByOne(Memory):
    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        return [free for pair in places for free in await super(LeavesOneByOne, self).leave([pair])]


class TakesWhatThereIs(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return [await self._one_by_one(item) for item in requests]

    async def _one_by_one(self, item: AdmissionRequest) -> Admission:
        parts = [replace(item, slots=[place], rates=[]) for place in item.slots]
        parts += [replace(item, slots=[], rates=[rate]) for rate in item.rates]
        answers = await super().admit(parts)
        return next((answer for answer in answers if answer.full), max(answers, key=lambda answer: answer.wait))


class IgnoresSettings(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(
            item,
            slots=[replace(place, setting=None) for place in item.slots],
            rates=[replace(rate, setting=None) for rate in item.rates],
        )


class ReadsLooseNumbers(Memory):
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        await super().put({key: value and value.strip() for key, value in entries.items()}, ttl)


class ReadsOnlyWholeNumbers(Memory):
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        await super().put({key: None if value and b"." in value else value for key, value in entries.items()}, ttl)


class BooksNobody(Memory):
    """All who wait are given the time after the next pace."""

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        answers: list[Admission] = []
        for item in requests:
            answers += await super().admit([item])
            for rate in item.rates:
                self._ledger.rate(rate.key).bookings.forget(math.inf)
        return answers


class ShortWindow(Altered):
    def alter_rate(self, rate: RateLimit) -> RateLimit:
        return replace(rate, window=rate.window / 2, pace=rate.pace / 2)


class LongPace(Altered):
    def alter_rate(self, rate: RateLimit) -> RateLimit:
        return replace(rate, pace=rate.pace * 2)


class BelievesTheBooked(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return [
            Admission() if item.booked else answer for item, answer in zip(requests, await super().admit(requests), strict=True)
        ]


class QueuesTheBooked(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, booked=False)


class ServesNewcomersFirst(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, booked=True)


class GivesTimesToTheHasty(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, patience=math.inf)


class RefusesTheHasty(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        patient = iter(await super().admit([item for item in requests if item.patience > 0]))
        return [next(patient) if item.patience > 0 else Admission(wait=1.0) for item in requests]


class OneStartMore(Altered):
    def alter_rate(self, rate: RateLimit) -> RateLimit:
        return replace(rate, limit=rate.limit + 1)


class KeepsOneRate(Altered):
    def alter(self, item: AdmissionRequest) -> AdmissionRequest:
        return replace(item, rates=item.rates[-1:])


class GivesTimesInEveryRate(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        answers: list[Admission] = []
        for item in requests:
            (answer,) = await super().admit([item])
            for rate in item.rates[: -1 if answer.wait else 0]:
                self._ledger.rate(rate.key).bookings.add(self._ledger.now + answer.wait)
            answers.append(answer)
        return answers


class KeepsOldTimes(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        for rate in (rate for item in requests for rate in item.rates):
            self._ledger.rate(rate.key).terms = self._ledger.setting(rate.setting) or b""
        return await super().admit(requests)


class CallsAllAtOnce(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        answers: list[Admission] = []
        for item in requests:
            for rate in item.rates:
                self._ledger.rate(rate.key).recalls.forget(math.inf)
            answers += await super().admit([item])
        return answers


class CallsWindowsAtOnce(Memory):
    """All who may start in one window are given the same time."""

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        def when(answer: Admission, pace: float) -> Admission:
            return replace(answer, wait=pace * (answer.wait // pace or answer.wait > 0))

        answers = zip(await super().admit(requests), requests, strict=True)
        return [when(answer, item.rates[0].pace) if item.rates else answer for answer, item in answers]


class LetsPoll(Memory):
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        return [replace(answer, wait=min(answer.wait, 0.002)) for answer in await super().admit(requests)]


# -- values ----------------------------------------------------------------------------------------------------------------


class ValuesAreText(Memory):
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        plain = {key: value and value.decode(errors="replace").encode() for key, value in entries.items()}
        await super().put(plain, ttl)


class DeletesNothing(Memory):
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        await super().put({key: value for key, value in entries.items() if value is not None}, ttl)


class PutsOneByOne(Memory):
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        for key, value in entries.items():
            await super().put({key: value}, ttl)
            await anyio.lowlevel.checkpoint()
