"""`expires` and `timeout` hold for messages that were delayed, held up or sent again."""

import anyio
import pytest

from taskiq_core import Concurrency, InMemoryBroker, Retry, TaskCancelledError

pytestmark = pytest.mark.anyio


async def test_what_is_delayed_beyond_its_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(expires=0.1)
    async def work() -> None:
        runs.append(1)

    async with broker:
        handle = await work.kicker().with_delay(0.3).kiq()
        assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
    assert not runs


async def test_what_waits_in_a_paused_queue_beyond_its_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task
    async def work() -> None:
        runs.append(1)

    async with broker:
        await broker.admin.pause("default")
        handle = await work.kicker().with_expires(0.05).kiq()
        await anyio.sleep(0.1)
        await broker.admin.resume("default")
        assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
    assert not runs


async def test_a_retry_beyond_the_expiry_never_starts() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(expires=1, retry=Retry(1, delay=1.5, jitter=False))
    async def work() -> None:
        runs.append(1)
        raise ValueError

    async with broker:
        result = await (await work.kiq()).wait_result(timeout=10)
    assert isinstance(result.error, TaskCancelledError)
    assert runs == [1]


async def test_each_run_has_the_whole_timeout_also_after_a_delay_and_a_retry() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(timeout=0.4, retry=Retry(1, delay=0.3, jitter=False))
    async def work() -> str:
        runs.append(1)
        if len(runs) == 1:
            await anyio.sleep_forever()
        await anyio.sleep(0.1)
        return "done"

    async with broker:
        assert await (await work.kicker().with_delay(0.5).kiq()) == "done"
    assert len(runs) == 2


async def test_what_is_parked_beyond_its_expiry_never_starts_and_may_be_cancelled() -> None:
    broker = InMemoryBroker()
    started, gate, runs = anyio.Event(), anyio.Event(), list[str]()

    @broker.task(limits=[Concurrency(1)], timeout=5)
    async def work(name: str) -> None:
        runs.append(name)
        started.set()
        await gate.wait()

    async with broker:
        assert broker.admin is not None
        first = await work.kiq("first")
        await started.wait()
        expired = await work.kicker().with_expires(0.05).kiq("expired")
        cancelled = await work.kiq("cancelled")
        last = await work.kiq("last")
        with anyio.fail_after(10):
            while (await broker.admin.depth("default")).delayed < 3:
                await anyio.sleep(0.01)
        assert await cancelled.cancel() == "removed"
        await anyio.sleep(0.05)
        gate.set()
        await first
        await last
        for handle in (expired, cancelled):
            assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
    assert runs == ["first", "last"]
