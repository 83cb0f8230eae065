"""What the laws of coordinators share."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from taskiq_core.abc.coordinator import AdmissionRequest, ClaimStore, Coordinator, RateLimit, SlotLimit
from taskiq_core.testing.suite import Suite

TTL = 0.5
"""Seconds of what shall expire."""

LONG = 600.0


class CoordinatorSuite(Suite[Any]):
    """Laws, some of which are races: they run over two instances where `shared` says that they see each other."""

    racers: int = 50

    async def race(self, coordinator: ClaimStore, run: Callable[[Any, int], Awaitable[Any]]) -> list[Any]:
        """Run all racers at once and return their outcomes."""
        peers = [coordinator, await self.another()] if self.shared else [coordinator]
        outcomes: list[Any] = []

        async def one(number: int) -> None:
            outcomes.append(await run(peers[number % len(peers)], number))

        async with anyio.create_task_group() as group:
            for number in range(self.racers):
                group.start_soon(one, number)
        return outcomes


def slot(holder: str, *places: SlotLimit, ttl: float = LONG) -> AdmissionRequest:
    """`holder` wants a slot of each."""
    return AdmissionRequest(holder, ttl, slots=places)


def start(*rates: RateLimit, booked: bool = False, patience: float = math.inf) -> AdmissionRequest:
    """Somebody wants to start within all of these."""
    return AdmissionRequest("somebody", LONG, rates=rates, booked=booked, patience=patience)


async def may(coordinator: Coordinator, *requests: AdmissionRequest) -> list[bool]:
    """Who of a batch may start."""
    return [answer.granted for answer in await coordinator.admit(requests)]


async def waits(coordinator: Coordinator, *requests: AdmissionRequest) -> list[float]:
    """How long each of a batch has to wait; none finds slots full."""
    answers = await coordinator.admit(requests)
    assert [answer.full for answer in answers] == [None] * len(answers)
    return [answer.wait for answer in answers]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it holds; the law's deadline ends the wait."""
    while not await holds():  # noqa: ASYNC110 - expiry tells nobody
        await anyio.sleep(0.02)


async def all_of(answer: Awaitable[list[bool]]) -> bool:
    """Whether all of a batch was granted."""
    return all(await answer)
