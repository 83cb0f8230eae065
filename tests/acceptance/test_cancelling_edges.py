"""Cancelling where it meets something else: threads, workers that stop, marks without a canceller, trouble."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import pytest

from taskiq_core import (
    AsyncTaskiqTask,
    Capability,
    Context,
    InMemoryBroker,
    InMemoryResultBackend,
    TaskCancelledError,
    TaskiqDepends,
    Worker,
    call,
)
from taskiq_core.cancel_marks import LIVES, new_marks

pytestmark = pytest.mark.anyio


async def cancelled(handle: AsyncTaskiqTask[Any], reason: str = "no reason given") -> None:
    result = await handle.wait_result(timeout=10)
    assert isinstance(result.error, TaskCancelledError)
    assert result.error.reason == reason


class Coordinated(InMemoryBroker):
    """With its coordinator at hand, and perhaps no worker in the background."""

    def __init__(self, *, works: bool = True, **options: Any) -> None:
        self.store = InMemoryResultBackend[Any]()
        super().__init__(self.store, **options)
        self.is_worker_process = not works


async def test_a_thread_is_told_and_keeps_its_slot_until_it_ends() -> None:
    broker = Coordinated(max_async_tasks=1)
    started, order = anyio.Event(), list[str]()

    def begin() -> None:
        anyio.from_thread.run_sync(started.set)

    @broker.task
    def work(ctx: Context = TaskiqDepends()) -> str:
        assert not ctx.cancelled.is_set()
        ctx.cancelled.raise_if_set()
        begin()
        assert ctx.cancelled.wait(20)
        order.append(f"told: {ctx.cancelled.reason}")
        with pytest.raises(TaskCancelledError):
            ctx.cancelled.raise_if_set()
        order.append("ends")
        return "a value that nobody gets"

    @broker.task
    async def after() -> None:
        order.append("after")

    async with broker:
        handle = await work.kiq()
        follower = await after.kiq()
        await started.wait()
        assert await handle.cancel("user") == "requested"
        await cancelled(handle, "user")
        await follower
        assert broker._worker._receiver.threads.runaways == 0  # type: ignore[union-attr]
    assert order == ["told: user", "ends", "after"]


async def test_a_thread_that_raises_is_cancelled_all_the_same() -> None:
    broker = Coordinated()
    started, runs = anyio.Event(), list[int]()

    @broker.task(retry=3)
    def work(ctx: Context = TaskiqDepends()) -> None:
        runs.append(ctx.attempt)
        anyio.from_thread.run_sync(started.set)
        ctx.cancelled.wait(20)
        raise ValueError

    @broker.task
    async def other(ctx: Context = TaskiqDepends()) -> bool:
        return ctx.cancelled.is_set()

    async with broker:
        handle = await work.kiq()
        await started.wait()
        await handle.cancel()
        await cancelled(handle)
        assert await (await other.kiq()) is False
    assert runs == [1]


async def test_a_mark_that_is_left_over_is_obeyed_by_whoever_receives_the_message() -> None:
    """What a canceller leaves that dies before it takes the message out of the queue."""
    broker = Coordinated(works=False)
    started, gate, runs = anyio.Event(), anyio.Event(), list[int]()

    @broker.task
    async def work(n: int) -> None:
        runs.append(n)
        started.set()
        if n == 1:
            await gate.wait()

    async with broker, anyio.create_task_group() as group:
        before = await work.kiq(0)
        await broker.store.put(new_marks([before.task_id], "before"), LIVES)
        worker = Worker(broker, concurrency=2)
        group.start_soon(worker.serve)
        await cancelled(before, "before")  # received by a worker that has not looked yet
        await work.kiq(1)
        await started.wait()
        other = broker.id_generator()
        await broker.store.put(new_marks([other], "while busy"), LIVES)
        with anyio.fail_after(10):
            while not worker._receiver._cancelling._has_marks:  # type: ignore[union-attr]
                await anyio.sleep(0.01)
        await cancelled(await work.kicker().with_task_id(other).kiq(2), "while busy")
        with anyio.fail_after(10):
            while await broker.store.get([f"cancel:{other}"]):  # it has served
                await anyio.sleep(0.01)
            again = await work.kicker().with_task_id(other).kiq(3)
            while 3 not in runs:
                await anyio.sleep(0.01)
        gate.set()
        worker.stop()
    assert (await again.get_result()).is_err is False
    assert runs == [1, 3]


async def test_a_broker_that_cannot_discard() -> None:
    broker = Coordinated(works=False)
    broker.capabilities &= ~Capability.DISCARD
    started, gate, runs = anyio.Event(), anyio.Event(), list[int]()

    @broker.task
    async def work(n: int) -> None:
        runs.append(n)
        started.set()
        await gate.wait()

    async with broker, anyio.create_task_group() as group:
        handles = await work.kiq_many([call(n) for n in range(4)])
        worker = Worker(broker, concurrency=1, prefetch=0)
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            await started.wait()
            assert await handles[2].cancel("user") == "requested"
            while not worker._receiver._cancelling._has_marks:  # type: ignore[union-attr]
                await anyio.sleep(0.01)
            gate.set()
            await cancelled(handles[2], "user")
            await handles[3]
        worker.stop()
    assert runs == [0, 1, 3]


async def test_unknown_and_twice() -> None:
    broker = Coordinated()
    started = anyio.Event()

    @broker.task
    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker:
        assert await broker.handle("nobody").cancel() == "requested"
        handle = await work.kiq()
        await started.wait()
        assert await broker.tasks.cancel([handle.task_id, "nobody"], reason="first") == {
            handle.task_id: "requested",
            "nobody": "requested",
        }
        await handle.cancel("second")
        await cancelled(handle, "second")


@pytest.mark.parametrize("now", [False, True])
async def test_while_the_worker_stops_there_is_one_ending(now: bool) -> None:
    broker = Coordinated(works=False)
    started, stopping = anyio.Event(), anyio.Event()

    @broker.task
    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            worker.stop(now=now)

    async with broker, anyio.create_task_group() as group:
        handle = await work.kiq()
        worker = Worker(broker, concurrency=2, grace=20)
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            await started.wait()
            await handle.cancel("user")
            await cancelled(handle, "user")
        stopping.set()
    depth = await broker.admin.depth("default")
    assert (depth.ready, depth.leased) == (0, 0)


async def test_a_stop_is_no_cancel() -> None:
    broker = Coordinated(works=False)
    started = anyio.Event()

    @broker.task
    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker, anyio.create_task_group() as group:
        handle = await work.kiq()
        worker = Worker(broker, concurrency=1)
        group.start_soon(worker.serve)
        await started.wait()
        worker.stop(now=True)
    assert (await broker.admin.depth("default")).ready == 1
    assert not await handle.is_ready()


async def test_a_coordinator_in_trouble_stops_no_task(caplog: pytest.LogCaptureFixture) -> None:
    class Trouble(InMemoryResultBackend[Any]):
        fails = True

        async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
            if self.fails:
                raise ConnectionResetError("gone")
            return await super().get(keys)

        async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
            await super().put(entries, ttl)

    store = Trouble()
    broker = InMemoryBroker(store)
    started = anyio.Event()

    @broker.task
    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    @broker.task
    async def quick() -> int:
        return 1

    async with broker:
        handle = await work.kiq()
        await started.wait()
        assert await (await quick.kiq()) == 1
        await handle.cancel()
        with anyio.fail_after(10):
            while "Cancellations cannot be noticed" not in caplog.text:
                await anyio.sleep(0.01)
        store.fails = False
        await cancelled(handle)
