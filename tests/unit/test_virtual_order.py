"""In virtual time the same story goes the same way in each run."""

import random
import threading

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from taskiq_core import Debounce, InMemoryBroker, Rate, Retry
from taskiq_core.testing import taskiq_test, virtual_time

pytestmark = pytest.mark.anyio


async def test_the_clock_always_begins_at_the_same_time() -> None:
    with virtual_time() as t:
        first = t.monotonic(), t.time() % 1
    assert first[0] < anyio.current_time()
    with virtual_time() as t:
        assert (t.monotonic(), t.time() % 1) == first


async def story() -> list[object]:
    broker, seen = InMemoryBroker(), list[object]()

    @broker.task("plain", retry=Retry(2, delay=1, jitter=True))
    def plain(number: int) -> None:
        seen.append(("begin", number))
        _ = sum(range(random.randrange(100_000)))
        seen.append(("end", number))
        if number % 3 == 0:
            raise ValueError

    @broker.task("limited", limits=[Rate(5, per=2)])
    def limited(number: int) -> None:
        seen.append(number)

    @broker.task("last", debounce=Debounce(0.3, key="{key}", max_wait=0.7))
    async def last(key: int, number: int) -> None:
        seen.append((key, number))

    async def send(sender: int) -> None:
        for number in range(5):
            await plain.kiq(10 * sender + number)
            await limited.kiq(10 * sender + number)
            await last.kiq(sender % 2, number)
            await anyio.sleep(random.random())

    async with taskiq_test(broker, workers=2, concurrency=4) as t:
        async with anyio.create_task_group() as group:
            for sender in range(3):
                group.start_soon(send, sender)
        await t.drain()
        seen.append((t.now - t.start).total_seconds())
    return seen


async def test_a_story_with_threads_goes_the_same_way_in_each_run() -> None:
    first = await story()
    for _ in range(3):
        assert await story() == first


async def test_a_thread_may_wait_for_another() -> None:
    with virtual_time():
        event = threading.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, event.wait)
            group.start_soon(anyio.to_thread.run_sync, event.set)

        async def other() -> str:
            return await anyio.to_thread.run_sync(lambda: "ran")

        assert await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(other)) == "ran"


async def test_who_gives_up_before_its_turn_holds_nobody_up() -> None:
    with virtual_time():
        began, may_end = anyio.Event(), threading.Event()
        ran = list[str]()

        def first() -> None:
            anyio.from_thread.run_sync(began.set)
            may_end.wait()
            ran.append("first")

        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, first)
            await began.wait()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.to_thread.run_sync(ran.append, "never")
            may_end.set()
            await anyio.to_thread.run_sync(ran.append, "third")
        assert ran == ["first", "third"]
