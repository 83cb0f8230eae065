"""Cancelling a task in whatever state it is."""

from typing import Any

import anyio
import pytest

from taskiq_core import (
    AsyncTaskiqTask,
    Context,
    DummyResultBackend,
    InMemoryBroker,
    Retry,
    TaskCancelledError,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskStatus,
    Worker,
    call,
)
from taskiq_core.exceptions import ConfigurationError

pytestmark = pytest.mark.anyio


async def cancelled(handle: AsyncTaskiqTask[Any], reason: str = "no reason given") -> None:
    result = await handle.wait_result(timeout=10)
    assert result.is_err
    assert result.return_value is None
    assert isinstance(result.error, TaskCancelledError)
    assert result.error.reason == reason
    with pytest.raises(TaskCancelledError, match=reason):
        await handle


def idle_broker() -> InMemoryBroker:
    """One without a worker in the background."""
    broker = InMemoryBroker()
    broker.is_worker_process = True
    return broker


async def test_what_waits_never_starts() -> None:
    broker = InMemoryBroker()
    broker.with_records(broker.result_backend)  # type: ignore[arg-type]
    runs: list[str] = []

    @broker.task
    async def work(name: str) -> None:
        runs.append(name)

    async with broker:
        await broker.admin.pause("default")
        delayed = await work.kicker().with_delay(3600).kiq("delayed")
        paused = await work.kiq("paused")
        other = await work.kiq("other")
        assert await delayed.cancel() == "removed"
        assert await paused.cancel("user") == "removed"
        await cancelled(delayed)
        await cancelled(paused, "user")
        assert await paused.cancel("again") == "finished"
        await cancelled(paused, "user")
        record = (await broker.records.get_records([paused.task_id]))[paused.task_id]
        assert (record.status, record.error) == (TaskStatus.CANCELLED, "TaskCancelledError: The task was cancelled: user")
        await broker.admin.resume("default")
        await other
        assert (await broker.admin.depth("default")).delayed == 0
    assert runs == ["other"]


async def test_thousand_at_once() -> None:
    broker = idle_broker()

    @broker.task
    async def work(n: int) -> None: ...

    async with broker:
        handles = await work.kiq_many([call(n) for n in range(1000)])
        ids = [handle.task_id for handle in handles]
        assert await broker.tasks.cancel(ids, reason="all") == dict.fromkeys(ids, "removed")
        assert (await broker.admin.depth("default")).ready == 0
        await cancelled(handles[-1], "all")
        assert await broker.tasks.cancel([]) == {}


async def test_a_running_task_is_cancelled_at_its_next_await_and_its_slot_goes_on() -> None:
    broker = InMemoryBroker(max_async_tasks=1)
    broker.with_records(broker.result_backend)  # type: ignore[arg-type]
    started, tidied = anyio.Event(), anyio.Event()

    @broker.task(retry=5)
    async def work() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            tidied.set()

    @broker.task
    async def after(n: int) -> int:
        await anyio.lowlevel.checkpoint()
        return n

    async with broker:
        for _ in range(2):
            started, tidied = anyio.Event(), anyio.Event()
            handle = await work.kiq()
            follower = await after.kiq(7)
            with anyio.fail_after(10):
                await started.wait()
                assert await broker.handle(handle.task_id).cancel("user") == "requested"
                await cancelled(handle, "user")
                assert tidied.is_set()
                assert await follower == 7
                await broker.wait_all()
        assert await handle.cancel("user") == "requested"  # as a call that looks when a fast worker has ended it already
        assert await handle.cancel() == "finished"
        record = (await broker.records.get_records([handle.task_id]))[handle.task_id]
        assert record.status is TaskStatus.CANCELLED


async def test_what_waits_in_the_inbox_never_starts() -> None:
    broker = idle_broker()
    started, gate, runs = anyio.Event(), anyio.Event(), list[int]()

    @broker.task
    async def work(n: int) -> None:
        runs.append(n)
        started.set()
        await gate.wait()

    async with broker, anyio.create_task_group() as group:
        first, second, third = await work.kiq_many([call(n) for n in range(3)])
        worker = Worker(broker, concurrency=1, prefetch=5)
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            await started.wait()
            assert await second.cancel() == "requested"
            await cancelled(second)
            gate.set()
            await first
            await third
        worker.stop()
    assert runs == [0, 2]


async def test_a_retry_that_waits_is_removed() -> None:
    broker = InMemoryBroker()
    runs: list[int] = []

    @broker.task(retry=Retry(3, delay=3600))
    async def flaky(ctx: Context = TaskiqDepends()) -> None:
        runs.append(ctx.attempt)
        raise ValueError

    async with broker:
        handle = await flaky.kiq()
        with anyio.fail_after(10):
            while not (await broker.admin.depth("default")).delayed:
                await broker.changed(None)
        assert await handle.cancel() == "removed"
        await cancelled(handle)
    assert runs == [1]


@pytest.mark.parametrize("ending", ["returns", "raises", "retries"])
async def test_who_swallows_the_cancellation_is_cancelled_nevertheless(ending: str) -> None:
    broker = InMemoryBroker()
    started, runs = anyio.Event(), list[int]()

    @broker.task(retry=3)
    async def stubborn() -> str:
        runs.append(1)
        started.set()
        try:
            await anyio.sleep_forever()
        except BaseException:
            if ending == "raises":
                raise ValueError from None
            if ending == "retries":
                raise TimeoutError from None
        return "done"

    async with broker:
        handle = await stubborn.kiq()
        await started.wait()
        await handle.cancel()
        await cancelled(handle)
        await broker.wait_all()
    assert runs == [1]


async def test_in_a_dependency_and_its_teardown() -> None:
    broker = InMemoryBroker()
    opening, closed, called = anyio.Event(), list[str](), list[str]()

    async def outer() -> Any:
        try:
            yield "outer"
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append("outer")

    async def inner(value: str = TaskiqDepends(outer)) -> str:
        opening.set()
        await anyio.sleep_forever()
        return value

    @broker.task
    async def work(value: str = TaskiqDepends(inner)) -> None:
        called.append(value)

    async with broker:
        handle = await work.kiq()
        await opening.wait()
        await handle.cancel("user")
        await cancelled(handle, "user")
    assert (closed, called) == (["outer"], [])


async def test_hooks_run_and_may_wait() -> None:
    seen: list[str] = []

    class Middleware(TaskiqMiddleware):
        async def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
            await anyio.lowlevel.checkpoint()
            seen.append(f"on_error {type(exception).__name__}")

        async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            await anyio.sleep(0.01)
            seen.append("post_execute")

        async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            seen.append("post_save")

    broker = InMemoryBroker().with_middlewares(Middleware())
    started = anyio.Event()

    @broker.task
    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker:
        handle = await work.kiq()
        await started.wait()
        await handle.cancel()
        await cancelled(handle)
        await broker.wait_all()
    assert seen == ["on_error TaskCancelledError", "post_execute", "post_save"]


async def test_without_a_coordinator_or_a_broker_the_call_says_what_to_do() -> None:
    broker = InMemoryBroker(DummyResultBackend())

    @broker.task
    async def work() -> None: ...

    async with broker:
        handle = await work.kiq()
        with pytest.raises(ConfigurationError, match="with_coordinator"):
            await handle.cancel()
        with pytest.raises(ConfigurationError, match=r"broker\.tasks\.cancel"):
            await AsyncTaskiqTask(handle.task_id, broker.result_backend).cancel()
