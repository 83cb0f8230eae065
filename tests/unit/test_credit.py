"""How many messages a worker receives at once."""

import pytest

from taskiq_core.delivery import Delivery
from taskiq_core.worker.credit import Credit

pytestmark = pytest.mark.anyio


async def _receive_all(credit: Credit) -> list[int]:
    parts: list[int] = []
    while credit.free > 0:
        parts.append(await credit.wait())
        credit.take([Delivery(b"") for _ in range(parts[-1])])
    return parts


async def test_a_large_prefetch_is_received_in_parts() -> None:
    assert await _receive_all(Credit(slots=10, prefetch=300)) == [100, 100, 100, 10]


async def test_slots_are_filled_at_once() -> None:
    assert await _receive_all(Credit(slots=10, prefetch=0)) == [10]
    assert await _receive_all(Credit(slots=10, prefetch=9)) == [10, 9]
