"""Limits are changed while work waits for them."""

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Rate, broker_from_url, call, gather
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


async def test_more_at_once_wakes_who_waits_and_fewer_hold_too() -> None:
    broker, gate = InMemoryBroker(), anyio.Event()
    running, most = 0, 0

    @broker.task("work", limits=Concurrency(1))
    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        await anyio.sleep(0.01)
        running -= 1

    async with broker:
        handles = await work.kiq_many([call() for _ in range(20)])
        for n in (4, 7):
            await broker.limits.change(work, Concurrency(n))
            with anyio.fail_after(10):
                while running < n:
                    await anyio.sleep(0.01)
        assert [state.current for state in await broker.limits.get(work)] == [Concurrency(7)]
        await broker.limits.change("work", Concurrency(2))
        gate.set()
        with anyio.fail_after(10):
            while running > 2:
                await anyio.sleep(0.001)
        most = 0
        await gather(*handles, timeout=20)
        assert most <= 2
        await broker.limits.reset()
        assert [state.current for state in await broker.limits.get()] == [Concurrency(1)]


async def test_a_higher_rate_gives_new_times_to_who_waits() -> None:
    broker, starts = InMemoryBroker(), list[float]()

    @broker.task(limits=Rate(1, per=600, key="{who}"))
    async def call_up(who: str) -> None:
        starts.append((t.now - t.start).total_seconds())

    async with taskiq_test(broker) as t:
        handles = await call_up.kiq_many([call("Ada") for _ in range(10)])
        await t.advance(0)
        assert starts == [0]
        changed = await broker.limits.change(call_up, Rate(3, per=20))
        assert changed.current == Rate(3, per=20, key="{who}")
        await gather(*handles, timeout=100)
        assert await broker.limits.get(call_up) == [changed]
    assert min(later - start for start, later in zip(starts[1:], starts[4:], strict=False)) >= 20
    assert changed.is_changed
    assert changed.declared == Rate(1, per=600, key="{who}")


@pytest.mark.parametrize("per", [0.1, 1, 1.9, 2, 2.02, 3, 60, 86400])
async def test_what_was_set_can_be_read(per: float) -> None:
    broker = InMemoryBroker()
    broker.register_task(print, "print", limits=[Rate(1), Concurrency(3)])
    async with broker:
        await broker.limits.change("print", Rate(7, per=per))
        assert [state.current for state in await broker.limits.get()] == [Rate(7, per=per), Concurrency(3)]


async def test_only_what_there_is_can_be_changed() -> None:
    broker = InMemoryBroker()

    @broker.task("mail", limits=[Rate(1), Rate(9, key="{to}"), Rate(50, per=60, name="smtp")])
    async def mail(to: str) -> None: ...

    broker.register_task(print, "print")
    async with broker:
        for task, limit in (("mail", Concurrency(1)), ("print", Rate(1)), ("mail", Rate(1, key="{from}")), ("who", Rate(1))):
            with pytest.raises(ConfigurationError, match=r"has no task|Only those that the code has can be changed"):
                await broker.limits.change(task, limit)
        await broker.limits.change(mail, Rate(2))
        await broker.limits.change(mail, Rate(8, key="{to}"))
        await broker.limits.change(mail, Rate(40, per=60, name="smtp"))
        now = [state.current for state in await broker.limits.get(mail)]
        assert now == [Rate(2), Rate(8, key="{to}"), Rate(40, per=60, name="smtp")]


async def test_without_shared_state_there_is_nothing_to_change() -> None:
    broker = broker_from_url("memory://")
    broker.result_backend = type("Nothing", (), {})()  # type: ignore[assignment]
    with pytest.raises(ConfigurationError, match="shared state"):
        await broker.limits.get()
