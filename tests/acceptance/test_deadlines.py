"""`expires` and `timeout` hold for messages that were delayed, held up or sent again."""

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Retry, TaskCancelledError
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


async def test_what_is_delayed_beyond_its_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(expires=60)
    async def work() -> None:
        runs.append(1)

    async with taskiq_test(broker) as t:
        handle = await work.kicker().with_delay(61).kiq()
        assert isinstance((await handle.wait_result(timeout=62)).error, TaskCancelledError)
        await work.kicker().with_delay(59).kiq()
        await t.drain()
        assert runs == [1]
        runs.clear()
    assert not runs


async def test_what_waits_in_a_paused_queue_beyond_its_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task
    async def work() -> None:
        runs.append(1)

    async with taskiq_test(broker) as t:
        await broker.admin.pause("default")
        handle = await work.kicker().with_expires(3600).kiq()
        await t.advance(hours=1, seconds=1)
        await broker.admin.resume("default")
        assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
    assert not runs


async def test_a_retry_beyond_the_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(expires=3600, retry=Retry(1, delay=3601, max_delay=4000))
    async def work() -> None:
        runs.append(1)
        raise ValueError

    async with taskiq_test(broker):
        result = await (await work.kiq()).wait_result(timeout=3602)
    assert isinstance(result.error, TaskCancelledError)
    assert runs == [1]


async def test_each_run_has_the_whole_timeout_also_after_a_delay_and_a_retry() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(timeout=40, retry=Retry(1, delay=30))
    async def work() -> str:
        runs.append(1)
        if len(runs) == 1:
            await anyio.sleep_forever()
        await anyio.sleep(39)
        return "done"

    async with taskiq_test(broker) as t:
        assert await (await work.kicker().with_delay(50).kiq()) == "done"
        assert (t.now - t.start).total_seconds() == 50 + 40 + 30 + 39
    assert len(runs) == 2


async def test_what_is_parked_beyond_its_expiry_never_starts_and_may_be_cancelled() -> None:
    broker = InMemoryBroker()
    started, gate, runs = anyio.Event(), anyio.Event(), list[str]()

    @broker.task(limits=[Concurrency(1)], timeout=500)
    async def work(name: str) -> None:
        runs.append(name)
        started.set()
        await gate.wait()

    async with taskiq_test(broker) as t:
        assert broker.admin is not None
        first = await work.kiq("first")
        await started.wait()
        expired = await work.kicker().with_expires(60).kiq("expired")
        cancelled = await work.kiq("cancelled")
        last = await work.kiq("last")
        await t.advance(0)
        assert (await broker.admin.depth("default")).delayed == 3
        assert await cancelled.cancel() == "removed"
        await t.advance(61)
        gate.set()
        await first
        await last
        for handle in (expired, cancelled):
            assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
    assert runs == ["first", "last"]
