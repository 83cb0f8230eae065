"""What cancels must not do to others: hold up later cancels, or make every message be asked about."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import pytest

from taskiq_core import (
    Batch,
    InMemoryBroker,
    InMemoryResultBackend,
    TaskCancelledError,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    Worker,
    call,
)
from taskiq_core.cancel_marks import LIVES, mark_key, new_marks
from taskiq_core.exceptions import TaskRequeuedError

pytestmark = pytest.mark.anyio


class Slow(TaskiqMiddleware):
    """Its hook waits at a gate, but for the task that runs."""

    def __init__(self) -> None:
        self.at_gate = 0
        self.gate = anyio.Event()

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        if message.args != [0]:
            self.at_gate += 1
            await self.gate.wait()


async def test_hooks_of_what_waited_hold_up_no_later_cancel() -> None:
    hooks, started = Slow(), anyio.Event()
    broker = InMemoryBroker().with_middlewares(hooks)
    broker.is_worker_process = True

    @broker.task
    async def work(n: int) -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, concurrency=1, prefetch=10)
        handles = await work.kiq_many([call(n) for n in range(6)])
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            await started.wait()
            await broker.tasks.cancel([handle.task_id for handle in handles[1:]], reason="not needed")
            while hooks.at_gate < 5:
                await anyio.sleep(0.01)
            await handles[0].cancel("neither")
            assert isinstance((await handles[0].wait_result()).error, TaskCancelledError)
            hooks.gate.set()
            for handle in handles[1:]:
                assert isinstance((await handle.wait_result()).error, TaskCancelledError)
        worker.stop()


async def test_what_has_not_ended_when_the_worker_stops_is_ended_by_the_next() -> None:
    hooks, started = Slow(), anyio.Event()
    broker = InMemoryBroker().with_middlewares(hooks)
    broker.is_worker_process = True

    @broker.task
    async def work(n: int) -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker:
        handles = await work.kiq_many([call(n) for n in range(3)])
        async with anyio.create_task_group() as group:
            worker = Worker(broker, concurrency=1, prefetch=10)
            group.start_soon(worker.serve)
            with anyio.fail_after(10):
                await started.wait()
                await broker.tasks.cancel([handle.task_id for handle in handles[1:]], reason="not needed")
                while hooks.at_gate < 2:
                    await anyio.sleep(0.01)
            worker.stop(now=True)
        hooks.gate.set()
        async with anyio.create_task_group() as group:
            worker = Worker(broker, concurrency=1, prefetch=10)
            group.start_soon(worker.serve)
            for handle in handles[1:]:
                assert isinstance((await handle.wait_result(timeout=10)).error, TaskCancelledError)
            worker.stop(now=True)


class Counting(InMemoryResultBackend[Any]):
    """Notes whose marks are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = set[str]()

    async def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:  # type: ignore[override]
        self.asked.update(keys)
        return await super().get(keys)


async def test_when_a_cancel_is_long_ago_only_what_comes_again_is_asked_about() -> None:
    store = Counting()
    broker = InMemoryBroker(store)
    broker.is_worker_process = True
    started, gate, runs = anyio.Event(), anyio.Event(), list[int]()

    @broker.task
    async def holds() -> None:
        started.set()
        await gate.wait()

    once = broker.register_task(lambda: None, "once")

    @broker.task
    async def comes_again(task_id: str) -> None:
        runs.append(1)
        await store.put(new_marks([task_id], "while it is held")) if len(runs) == 1 else None
        cancelling._seen = (await store.get(["cancels"]))["cancels"]  # as if the look had been just before
        raise TaskRequeuedError

    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, concurrency=2)
        group.start_soon(worker.serve)
        await store.put(new_marks(["somebody"], "long ago"), LIVES)
        await holds.kiq()
        with anyio.fail_after(10):
            await started.wait()
            cancelling = worker._receiver._cancelling  # type: ignore[union-attr]
            while not cancelling._has_marks:
                await anyio.sleep(0.01)
            cancelling._settles_at = 0.0
            plain = await once.kiq()
            await plain
            assert mark_key(plain.task_id) not in store.asked
            task_id = broker.id_generator()
            again = await comes_again.kicker().with_task_id(task_id).kiq(task_id)
            assert isinstance((await again.wait_result()).error, TaskCancelledError)
            gate.set()
        worker.stop()
    assert runs == [1]


async def test_hooks_of_a_message_that_left_its_batch_hold_up_nobody() -> None:
    hooks, sizes = Slow(), list[int]()
    broker = InMemoryBroker().with_middlewares(hooks)
    broker.is_worker_process = True

    @broker.task(batch=Batch(3, within=60))
    async def work(numbers: list[int]) -> None:
        sizes.append(len(numbers))

    @broker.task
    async def other(n: int) -> None: ...

    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, concurrency=1, prefetch=10)
        group.start_soon(worker.serve)
        slow, quick = await work.kiq_many([call(1), call(0)])
        with anyio.fail_after(10):
            await (await other.kiq(0))  # both are with their batch
            assert await slow.cancel("not needed") == "requested"
            while hooks.at_gate < 1:
                await anyio.sleep(0.01)
            assert await quick.cancel("neither") == "requested"
            assert isinstance((await quick.wait_result()).error, TaskCancelledError)
            hooks.gate.set()
            assert isinstance((await slow.wait_result()).error, TaskCancelledError)
        worker.stop()
    assert sizes == []
