"""Limits that cannot be kept are refused when the broker starts, with a sentence that says what to do."""

import math
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from taskiq_core import (
    AsyncBroker,
    BrokerMessage,
    Concurrency,
    DummyResultBackend,
    InMemoryBroker,
    InMemoryResultBackend,
    Rate,
    broker_from_url,
)
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.limits import Limit
from taskiq_core.stores.memory_coordinator import MemoryCoordinator

pytestmark = pytest.mark.anyio


async def refusal(broker: AsyncBroker, *limits: Limit, **more: Limit) -> str:
    @broker.task("a", limits=limits)
    async def a() -> None: ...

    for name, limit in more.items():
        broker.register_task(a.original_func, name, limits=limit)
    with pytest.raises(ConfigurationError) as caught:
        await broker.startup()
    return str(caught.value)


class Nowhere(AsyncBroker):
    async def kick(self, message: BrokerMessage) -> None: ...

    async def listen(self) -> AsyncGenerator[bytes, None]:
        yield b""


async def test_without_shared_state() -> None:
    said = await refusal(Nowhere(DummyResultBackend()), Rate(1))
    assert said.startswith("Task 'a' asks for Rate(...), but Nowhere does not declare shared state. Give the broker")


async def test_with_state_that_other_processes_do_not_see(tmp_path: Path) -> None:
    broker = broker_from_url(f"sqlite:///{tmp_path / 'jobs.db'}").with_result_backend(InMemoryResultBackend())
    assert "Other processes would not see its state" in await refusal(broker, Concurrency(1))


async def test_a_coordinator_beside_the_result_backend_will_do() -> None:
    broker = Nowhere(DummyResultBackend()).with_coordinator(MemoryCoordinator())
    broker.register_task(print, "print", limits=Concurrency(1))
    async with broker:
        pass


async def test_limits_that_cannot_be_told_apart() -> None:
    assert "two Rate limits with one key: give each a name" in await refusal(InMemoryBroker(), Rate(1), Rate(20, per=60))
    assert await fine(Rate(1), Rate(20, per=60, name="slow"), Rate(2, key="{x}"), Concurrency(1))


async def fine(*limits: Limit) -> bool:
    broker = InMemoryBroker()

    @broker.task(limits=limits)
    async def task(x: int) -> None: ...

    async with broker:
        return True


async def test_a_shared_limit_is_one_limit() -> None:
    said = await refusal(InMemoryBroker(), Concurrency(1, name="db"), b=Concurrency(2, name="db"))
    assert "'db' is not the same for all tasks" in said


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, 10**9 + 1, 10**30])
def test_counts_that_no_store_can_keep(wrong: int) -> None:
    for kind in (Concurrency, Rate):
        with pytest.raises(ValueError, match="a limit is a whole number from 1 to 1000000000"):
            kind(wrong)


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, 1e300, timedelta(days=3651)])
def test_windows_that_no_store_can_keep(wrong: float | timedelta) -> None:
    with pytest.raises(ValueError, match=r"limits nothing|ten years at most|expected seconds"):
        Rate(1, per=wrong)
