"""What surrounds a task: retries, hooks, events, progress, records."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from taskiq_core import (
    Context,
    InMemoryBroker,
    InMemoryResultBackend,
    NoResultError,
    Progress,
    Retry,
    SimpleRetryMiddleware,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqEvents,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskiqState,
    TaskRetry,
    TaskStatus,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


async def test_retries_keep_the_id_and_tell_the_attempt_and_the_last_error(broker: InMemoryBroker) -> None:
    seen: list[tuple[str, int, Any]] = []

    @broker.task(retry=Retry(2))
    async def flaky(ctx: Context = TaskiqDepends()) -> str:
        seen.append((ctx.task_id, ctx.attempt, ctx.last_error))
        if ctx.attempt < 3:
            raise ValueError(f"try {ctx.attempt}")
        return "done"

    async with broker:
        handle = await flaky.kiq()
        assert await handle == "done"
    task_id = handle.task_id
    assert seen == [(task_id, 1, None), (task_id, 2, "ValueError: try 1"), (task_id, 3, "ValueError: try 2")]


async def test_task_retry_is_bounded_and_requeue_burns_no_retry(broker: InMemoryBroker) -> None:
    runs: list[int] = []

    @broker.task(retry=1)
    async def again() -> None:
        runs.append(1)
        raise TaskRetry(delay=0)

    @broker.task(retry=0)
    async def requeued(ctx: Context = TaskiqDepends()) -> tuple[int, int]:
        count = int(ctx.message.labels.get("X-Taskiq-requeue", 0))
        if count < 3:
            await ctx.requeue()
        return count, ctx.attempt

    async with broker:
        result = await (await again.kiq()).wait_result(timeout=5)
        assert isinstance(result.error, TaskRetry)
        assert len(runs) == 2
        assert await (await requeued.kiq()) == (3, 1)


@pytest.mark.parametrize("middleware", [SimpleRetryMiddleware, lambda: SmartRetryMiddleware(default_delay=0)])
async def test_taskiqs_retry_middlewares_count_runs(broker: InMemoryBroker, middleware: Callable[[], Any]) -> None:
    broker.add_middlewares(middleware())
    runs: list[int] = []

    @broker.task(retry_on_error=True, max_retries=3)
    async def fails() -> None:
        runs.append(1)
        raise ValueError

    async with broker:
        assert (await (await fails.kiq()).wait_result(timeout=5)).is_err
    assert len(runs) == 3


async def test_progress_can_be_followed(broker: InMemoryBroker) -> None:
    gate, reported = anyio.Event(), anyio.Event()

    @broker.task
    async def work(progress: Progress = TaskiqDepends()) -> None:
        await progress.set(3, total=4, message="nearly")
        reported.set()
        await gate.wait()

    async with broker:
        handle = await work.kiq()
        await reported.wait()
        progress = await handle.get_progress()
        assert progress is not None
        assert (progress.percent, progress.message) == (75, "nearly")
        gate.set()
        await handle


class Watch(TaskiqMiddleware):
    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events

    def startup(self) -> None:
        self.events.append(f"startup {self.name}")

    async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        self.events.append(f"pre_send {self.name}")
        message.labels["seen"] = message.labels.get("seen", "") + self.name
        return message

    def post_send(self, message: TaskiqMessage) -> None:
        self.events.append(f"post_send {self.name}")

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        self.events.append(f"pre_execute {self.name}")
        return message

    async def around_execute(self, call_next: Any, message: TaskiqMessage) -> Any:
        self.events.append(f"around {self.name}")
        return await call_next(message)

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        self.events.append(f"on_error {self.name}")

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.events.append(f"post_execute {self.name}")

    def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.events.append(f"post_save {self.name}")
        raise RuntimeError("harms nobody")


async def test_hooks_run_in_order_and_may_change_things(broker: InMemoryBroker) -> None:
    events: list[str] = []

    broker.add_middlewares(Watch("a", events), Watch("b", events))

    @broker.task
    async def fails() -> None:
        raise ValueError

    async with broker:
        result = await (await fails.kiq()).wait_result(timeout=5)
        await broker.wait_all()
    assert result.labels["seen"] == "ab"
    expected = [f"{hook} {name}" for hook in ("startup", "pre_send", "post_send") for name in ("a", "b")]
    expected[4:6] = expected[5:3:-1]
    sends, runs = events[:6], events[6:]
    assert sends == expected
    backwards = [f"{hook} {name}" for hook in ("on_error", "post_execute", "post_save") for name in ("b", "a")]
    assert runs == ["pre_execute a", "pre_execute b", "around a", "around b", *backwards]


async def test_on_error_may_suppress_the_result(broker: InMemoryBroker) -> None:
    class Suppress(TaskiqMiddleware):
        def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
            result.error = NoResultError()

    broker.add_middlewares(Suppress())

    @broker.task
    async def fails() -> None:
        raise ValueError

    async with broker:
        handle = await fails.kiq()
        await broker.wait_all()
        assert not await handle.is_ready()


async def test_events_and_state(broker: InMemoryBroker) -> None:
    @broker.on_event(TaskiqEvents.WORKER_STARTUP)
    async def connect(state: TaskiqState) -> None:
        state.pool = "a pool"

    @broker.on_event(TaskiqEvents.CLIENT_SHUTDOWN)
    def gone(state: TaskiqState) -> None:
        state["closed"] = True

    @broker.task
    async def use(state: TaskiqState = TaskiqDepends()) -> str:
        return state.pool

    async with broker:
        assert await (await use.kiq()) == "a pool"
    assert broker.state.closed is True
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = broker.state.nothing_such


async def test_transitions_are_recorded_where_there_is_a_store() -> None:
    backend = InMemoryResultBackend()
    broker = InMemoryBroker(backend).with_records(backend)

    @broker.task(retry=1)
    async def flaky(ctx: Context = TaskiqDepends()) -> None:
        if ctx.attempt == 1:
            raise ValueError("first")

    async with broker:
        handle = await flaky.kiq()
        await handle
    record = (await backend.get_records([handle.task_id]))[handle.task_id]
    assert record.status is TaskStatus.SUCCESS
    assert record.attempts == 2
    assert record.worker


async def test_await_inplace_returns_when_the_task_has_ended() -> None:
    broker = InMemoryBroker(await_inplace=True)
    ran: list[int] = []

    @broker.task
    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        ran.append(1)

    async with broker:
        await work.kiq()
        assert ran == [1]
