"""Random histories of admission, on a store and on the one in memory, whose time is the test's."""

import math
import random
from collections.abc import Awaitable, Callable

from taskiq_core import clock
from taskiq_core.abc import Admission, AdmissionRequest, Coordinator, RateLimit, SlotLimit
from taskiq_core.result_backends.inmemory import InMemoryResultBackend

BEGIN = 4_000_000_000.0
"""Seconds since the epoch, far off: what tidies up by the real clock, in a test that takes long, finds nothing of this."""
TOLERANCE = 1e-4
RATES = (RateLimit("a", 3, 10.3, 10.61, "ra"), RateLimit("b", 1, 2.3, 2.37, "rb"), RateLimit("c", 8, 10.3, 10.61))
SLOTS = (SlotLimit("a", 2, "sa"), SlotLimit("b", 5))
SETTINGS = {"ra": (b"5 10.3 10.9", b"1 10.3 11", b"nonsense", None), "sa": (b"4", b"1", b"0", b"?", None), "rb": (None,)}
"""Windows stay as long as they are: what is remembered of a shorter one is the store's affair."""


def some_request(dice: random.Random) -> AdmissionRequest:
    slots = dice.sample(SLOTS, dice.choice([0, 0, 1, 2]))
    rates = dice.sample(RATES, dice.choice([0, 1, 1, 1, 2]))
    patience = dice.choice([math.inf, math.inf, 0.77, 12.34])
    return AdmissionRequest(f"h{dice.randrange(9)}", dice.choice([1.5, 20.5]), slots, rates, dice.random() < 0.6, patience)


def alike(one: Admission, other: Admission) -> bool:
    return one.full == other.full and one.granted == other.granted and abs(one.wait - other.wait) < TOLERANCE


async def compare(store: Coordinator, turn_clock: Callable[[float], Awaitable[None]], dice: random.Random, steps: int) -> int:
    """Ask both the same at the same times; `turn_clock` makes it as many seconds later for the store. How many may start."""
    model: InMemoryResultBackend = InMemoryResultBackend()
    now, started = BEGIN, 0
    for _ in range(steps):
        later = float(dice.choice([0, 0, 1, 1, 2, 3, 8, 30]))
        now += later
        requests = [some_request(dice) for _ in range(dice.choice([1, 2, 10]))]
        leaving = [(f"h{dice.randrange(9)}", dice.choice(SLOTS)) for _ in range(dice.choice([0, 1, 3]))]
        name = dice.choice(list(SETTINGS))
        entries = {name: dice.choice(SETTINGS[name])} if dice.random() < 0.1 else {}
        await turn_clock(later)
        answers, free = await store.admit(requests), await store.leave(leaving)
        await store.put(entries)
        with clock.replaced(lambda: now, lambda: now):  # noqa: B023 - it ends with the turn
            expected = await model.admit(requests)
            assert free == await model.leave(leaving)
            await model.put(entries)
        for place, told in enumerate(zip(answers, expected, strict=True)):
            assert alike(*told), f"after {now - BEGIN} s: {told} for {requests[place]} of {requests}"
        started += sum(answer.granted for answer in answers)
    return started
