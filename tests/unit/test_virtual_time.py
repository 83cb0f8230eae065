"""Virtual time itself: what jumps, what holds it, and that the event loop is as before afterwards."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from taskiq_core import Capability, InMemoryBroker, clock
from taskiq_core.exceptions import ConfigurationError, UnsupportedOptionError
from taskiq_core.testing import taskiq_test, virtual_time

pytestmark = pytest.mark.anyio

START = datetime(2030, 1, 1, tzinfo=UTC)


async def test_time_jumps_from_timer_to_timer_to_the_digit() -> None:
    seen: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        begin, wall = anyio.current_time(), clock.time()
        assert clock.monotonic() == begin
        await anyio.sleep(seconds)
        seen.append((anyio.current_time() - begin, round(clock.time() - wall, 6)))

    with virtual_time(START) as t:
        async with anyio.create_task_group() as group:
            for seconds in (3e8, 0.25, 86400.0, 0.0):
                group.start_soon(sleep, seconds)
        assert t.now() == START + timedelta(seconds=3e8)
    assert [wall for _, wall in seen] == [0.0, 0.25, 86400.0, 3e8]
    assert all(round(steady, 4) == wall for steady, wall in seen)


@pytest.mark.parametrize("seconds", [1e-7, 1.0, 1e9])
async def test_many_timers_close_to_each_other(seconds: float) -> None:
    with virtual_time(START):
        await anyio.sleep(seconds)
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(anyio.sleep, 1 + number * 1e-9)
                group.start_soon(anyio.sleep, 1 + number * 1e-7)


async def test_afterwards_all_is_as_before() -> None:
    before, state = anyio.current_time(), random.getstate()
    with pytest.raises(ZeroDivisionError), virtual_time(START):
        await anyio.sleep(1e6)
        raise ZeroDivisionError
    assert 0 <= anyio.current_time() - before < 1000
    assert (clock.time, clock.monotonic) == (time.time, time.monotonic)
    assert random.getstate() == state
    begin = time.monotonic()
    await anyio.sleep(0.01)
    assert time.monotonic() - begin >= 0.009


async def test_a_thread_that_waits_for_the_loop_is_answered() -> None:
    async def answer() -> int:
        await anyio.sleep(0.02)  # held by the thread, so it takes that long
        return 7

    with virtual_time(START) as t:
        assert await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(answer)) == 7
        assert t.now() == START + timedelta(seconds=0.02)
        await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_executors_of_asyncio_hold_time() -> None:
    loop = asyncio.get_running_loop()
    with virtual_time(START) as t:
        await asyncio.gather(asyncio.to_thread(time.sleep, 0.03), loop.run_in_executor(None, time.sleep, 0.02), t.rest())
        assert t.now() == START
    assert "run_in_executor" not in vars(loop)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
async def test_uvloop_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"asyncio's own event loop or trio; uvloop\.Loop does not"), virtual_time():
        pass


async def test_an_inner_block_lives_in_the_time_of_the_outer() -> None:
    with virtual_time(START) as outer:
        with virtual_time() as inner:
            assert inner is outer
        with pytest.raises(RuntimeError, match="say its start where it is entered first"), virtual_time(START):
            pass
        await anyio.sleep(1e6)


async def test_a_broker_is_as_before_after_a_test_that_failed() -> None:
    broker = InMemoryBroker()
    before = dict(vars(broker))
    with pytest.raises(ZeroDivisionError):
        async with taskiq_test(broker) as t:
            assert broker.home is not None
            assert broker.result_backend is not before["result_backend"]
            await t.advance(60)
            raise ZeroDivisionError
    assert {name: value for name, value in vars(broker).items() if before.get(name) is not value} == {}


async def test_what_the_broker_would_refuse_is_refused() -> None:
    broker = InMemoryBroker()
    async with broker:
        with pytest.raises(ConfigurationError, match="started already"):
            async with taskiq_test(broker):
                pass

    class Plain(InMemoryBroker):
        capabilities = Capability.NONE

    plain = Plain()

    @plain.task(delay=60)
    async def later() -> None: ...

    with pytest.raises(UnsupportedOptionError):
        async with taskiq_test(plain):
            pass
    assert plain.home is None
