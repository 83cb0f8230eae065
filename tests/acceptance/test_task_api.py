"""Defining, sending, waiting: the API of tasks as users meet it, on the in-memory broker."""

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import anyio
import anyio.to_thread
import pytest
from pydantic import BaseModel

from taskiq_core import (
    AsyncBroker,
    AsyncSharedBroker,
    BrokerMessage,
    Capability,
    Context,
    InMemoryBroker,
    InMemoryResultBackend,
    NoResultError,
    Progress,
    Retry,
    SendTaskError,
    SimpleRetryMiddleware,
    SmartRetryMiddleware,
    TaskiqDepends,
    TaskiqEvents,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskiqResultTimeoutError,
    TaskiqState,
    TaskRetry,
    TaskRouter,
    TaskStatus,
    call,
    gather,
)
from taskiq_core.exceptions import (
    ConfigurationError,
    MessageTooLargeError,
    ResultBackendNotConfiguredError,
    SharedBrokerListenError,
    SharedBrokerSendTaskError,
    TaskBrokerMismatchError,
    TaskNameConflictError,
    UnsupportedOptionError,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


async def test_a_task_is_sent_and_awaited_or_called_here(broker: InMemoryBroker) -> None:
    @broker.task
    async def add(a: int, b: int = 1) -> int:
        return a + b

    async with broker:
        handle = await add.kiq(1, b=2)
        assert handle.outcome == "queued"
        assert await handle == 3
        assert await handle.is_ready()
        result = await handle.wait_result(timeout=5)
        assert (result.is_err, result.return_value, result.error) == (False, 3, None)
        assert result.raise_for_error() is result
        assert result.execution_time < 5
        assert (await handle.get_result()).return_value == 3
        assert await broker.handle(handle.task_id) == 3
        assert await add(5) == 6
        assert await (await broker.kicker(add.task_name).kiq(2)) == 3
        assert await (await broker.kicker(add.original_func).kiq(2)) == 3


async def test_the_tasks_own_exception_comes_back_with_its_traceback(broker: InMemoryBroker) -> None:
    @broker.task
    async def divide(a: int) -> float:
        return a / 0

    async with broker:
        handle = await divide.kiq(1)
        with pytest.raises(ZeroDivisionError) as caught:
            await handle
        assert "return a / 0" in "".join(caught.value.__notes__)
        with pytest.raises(ZeroDivisionError):
            (await handle.wait_result()).raise_for_error()


class Colour(Enum):
    RED = "red"


class Order(BaseModel):
    id: uuid.UUID
    total: Decimal


@dataclass
class Point:
    x: int
    y: int


async def test_arguments_and_results_keep_their_types(broker: InMemoryBroker) -> None:
    values: dict[str, Any] = {
        "order": Order(id=uuid.uuid4(), total=Decimal("1.10")),
        "point": Point(1, 2),
        "colour": Colour.RED,
        "moment": datetime.now(UTC),
        "blob": b"\x00\xff",
        "names": {"a", "b"},
        "pair": (1, "x"),
    }

    @broker.task
    async def echo(
        order: Order, point: Point, colour: Colour, moment: datetime, blob: bytes, names: set[str], pair: tuple[int, str]
    ) -> tuple[Order, Point, Colour, datetime, bytes, set[str], tuple[int, str]]:
        assert isinstance(order, Order)
        assert isinstance(point, Point)
        return order, point, colour, moment, blob, names, pair

    async with broker:
        assert await (await echo.kiq(**values)) == tuple(values.values())


@pytest.mark.parametrize(
    ("args", "reason"),
    [(("secret-text",), "'number'"), ((), "missing argument 'number'"), ((1, 2), "takes 1 positional")],
)
async def test_wrong_arguments_are_an_error_result_and_the_function_is_not_called(
    broker: InMemoryBroker, args: tuple[Any, ...], reason: str
) -> None:
    ran: list[int] = []

    @broker.task
    async def work(number: int) -> None:
        ran.append(number)

    async with broker:
        result = await (await work.kicker().kiq(*args)).wait_result(timeout=5)
        assert type(result.error).__name__ == "ArgumentError"
        assert reason in str(result.error)
        assert "secret-text" not in str(result.error)
    assert not ran


async def test_gather_takes_handles_and_sends_not_yet_awaited_and_keeps_the_order(broker: InMemoryBroker) -> None:
    @broker.task
    async def wait(seconds: float) -> float:
        await anyio.sleep(seconds)
        return seconds

    async with broker:
        first = await wait.kiq(0.05)
        results = await gather(first, wait.kiq(0.0), wait.kiq(0.02), first, timeout=5)
        assert [result.return_value for result in results] == [0.05, 0.0, 0.02, 0.05]
        assert await gather() == ()
        with pytest.raises(TaskiqResultTimeoutError):
            await gather(wait.kiq(10), timeout=0.05)
        with pytest.raises(TaskiqResultTimeoutError):
            await (await wait.kiq(10)).wait_result(timeout=0.05)
        broker._worker.stop(now=True)  # type: ignore[union-attr]


async def test_kiq_many_sends_all_in_one_go(broker: InMemoryBroker) -> None:
    @broker.task
    async def double(n: int) -> int:
        return 2 * n

    async with broker:
        handles = await double.kiq_many([call(1), call(n=2)])
        assert [await handle for handle in handles] == [2, 4]
        assert await double.kiq_many([]) == []


async def test_kicker_settings_travel_and_do_not_leak(broker: InMemoryBroker) -> None:
    @broker.task(team="billing", queue="vip", priority=3)
    async def look(ctx: Context = TaskiqDepends()) -> dict[str, Any]:
        return ctx.message.labels

    async with broker:
        handle = await look.kicker().with_labels(extra=[1, None]).with_priority(9).with_task_id("mine").kiq()
        assert handle.task_id == "mine"
        assert await handle == {"team": "billing", "queue_name": "vip", "priority": 9, "extra": [1, None]}
        assert (await handle.wait_result()).labels["team"] == "billing"
        assert await (await look.kiq()) == {"team": "billing", "queue_name": "vip", "priority": 3}
        with pytest.raises(ValueError, match="0 to 9"):
            look.kicker().with_priority(10)


async def test_delay_and_eta_hold_a_task_back(broker: InMemoryBroker) -> None:
    @broker.task
    async def now() -> float:
        return anyio.current_time()

    async with broker:
        sent = anyio.current_time()
        later = await now.kicker().with_delay(timedelta(milliseconds=200)).kiq()
        eta = await now.kicker().with_eta(datetime.now(UTC) + timedelta(milliseconds=200)).kiq()
        at_once = await now.kiq()
        results = await gather(later, eta, at_once, timeout=5)
    assert results[0].return_value - sent >= 0.19
    assert results[1].return_value - sent >= 0.19
    assert results[2].return_value - sent < 0.19


async def test_higher_priority_runs_first() -> None:
    broker = InMemoryBroker(max_async_tasks=1)
    order: list[int] = []
    gate, blocked = anyio.Event(), anyio.Event()

    @broker.task
    async def block() -> None:
        blocked.set()
        await gate.wait()

    @broker.task
    async def note(n: int) -> None:
        order.append(n)

    async with broker:
        await block.kiq()
        await blocked.wait()
        handles = [await note.kicker().with_priority(n).kiq(n) for n in (1, 9, 5)]
        gate.set()
        await gather(*handles, timeout=5)
    assert order == [9, 5, 1]


async def test_retries_keep_the_id_and_tell_the_attempt_and_the_last_error(broker: InMemoryBroker) -> None:
    seen: list[tuple[str, int, Any]] = []

    @broker.task(retry=Retry(2))
    async def flaky(ctx: Context = TaskiqDepends()) -> str:
        seen.append((ctx.task_id, ctx.attempt, ctx.message.labels.get("_last_error")))
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


async def test_hooks_run_in_order_and_may_change_things(broker: InMemoryBroker) -> None:
    events: list[str] = []

    class Watch(TaskiqMiddleware):
        def __init__(self, name: str) -> None:
            self.name = name

        def startup(self) -> None:
            events.append(f"startup {self.name}")

        async def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
            events.append(f"pre_send {self.name}")
            message.labels["seen"] = message.labels.get("seen", "") + self.name
            return message

        def post_send(self, message: TaskiqMessage) -> None:
            events.append(f"post_send {self.name}")

        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            events.append(f"pre_execute {self.name}")
            return message

        async def around_execute(self, call_next: Any, message: TaskiqMessage) -> Any:
            events.append(f"around {self.name}")
            return await call_next(message)

        def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
            events.append(f"on_error {self.name}")

        def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            events.append(f"post_execute {self.name}")

        def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            events.append(f"post_save {self.name}")
            raise RuntimeError("harms nobody")

    broker.add_middlewares(Watch("a"), Watch("b"))

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


async def test_synchronous_code_sends_from_a_thread_beside_a_running_loop(broker: InMemoryBroker) -> None:
    @broker.task
    async def double(n: int) -> int:
        return 2 * n

    @broker.task
    def sends_from_a_thread_task(n: int) -> str:
        return double.kiq_sync(n).task_id

    async with broker:
        handle = await anyio.to_thread.run_sync(double.kiq_sync, 4)
        assert await handle == 8
        assert await broker.handle(await (await sends_from_a_thread_task.kiq(5))) == 10
        with pytest.raises(RuntimeError, match=r"await task\.kiq"):
            double.kiq_sync(1)


def test_synchronous_code_sends_without_any_loop(tmp_path: Any) -> None:
    broker = InMemoryBroker()
    done = threading.Event()

    @broker.task
    async def note() -> None:
        done.set()

    assert note.kiq_sync().task_id
    assert done.wait(10)


async def test_router_tasks_work_once_included(broker: InMemoryBroker) -> None:
    router, inner = TaskRouter(), TaskRouter()
    router.include_router(inner)

    @router.task("outer", priority=7)
    async def outer() -> int:
        return 1

    @inner.task
    async def deep() -> int:
        return 2

    with pytest.raises(RuntimeError, match="include_router"):
        await outer.kiq()
    broker.include_router(router)
    async with broker:
        assert await (await outer.kiq()) == 1
        assert await (await deep.kiq()) == 2
    with pytest.raises(TaskBrokerMismatchError):
        InMemoryBroker().include_router(router)


async def test_shared_tasks_run_on_the_default_broker(broker: InMemoryBroker) -> None:
    shared = AsyncSharedBroker()

    @shared.task(f"shared:{uuid.uuid4().hex}")
    async def triple(n: int) -> int:
        return 3 * n

    with pytest.raises(SharedBrokerSendTaskError):
        await triple.kiq(1)
    with pytest.raises(SharedBrokerListenError):
        shared.listen()
    async with broker:
        assert await (await triple.kicker().with_broker(broker).kiq(2)) == 6
        shared.default_broker(broker)
        assert await (await triple.kiq(3)) == 9
    assert triple.task_name in broker.get_all_tasks()


def test_names_conflicts_and_near_misses(broker: InMemoryBroker, caplog: pytest.LogCaptureFixture) -> None:
    @broker.task
    async def one() -> None: ...

    assert one.task_name == f"{__name__}:one"
    broker.register_task(one.original_func)
    with pytest.raises(TaskNameConflictError, match="explicit name"):

        @broker.task(one.task_name)
        async def two() -> None: ...

    with caplog.at_level(logging.WARNING):
        broker.register_task(lambda: None, "three", prioritty=3)
    assert "did you mean the option 'priority'" in caplog.text
    with pytest.raises(ConfigurationError, match="priority"):
        broker.register_task(lambda: None, "four", priority=11)
    with pytest.raises(ConfigurationError):
        broker.register_task(one)  # type: ignore[arg-type]


class Poor(AsyncBroker):
    """A broker that can do nothing."""

    async def kick(self, message: BrokerMessage) -> None: ...

    def listen(self) -> Any: ...


async def test_an_option_that_nothing_serves_is_refused_at_start_up_and_at_the_call() -> None:
    poor = Poor()
    fine = poor.register_task(lambda: None, "fine")
    for setting in ("with_delay", "with_priority", "with_queue"):
        with pytest.raises(UnsupportedOptionError, match="does not declare"):
            getattr(fine.kicker(), setting)(1)
    poor.register_task(lambda: None, "picky", priority=3)
    with pytest.raises(UnsupportedOptionError, match=r"Task 'picky' asks for priority=3, but Poor does not declare PRIORITY"):
        await poor.startup()
    poor.capabilities |= Capability.PRIORITY
    await poor.startup()
    with pytest.raises(ResultBackendNotConfiguredError):
        await (await fine.kiq()).wait_result()


def test_a_broker_that_overrides_neither_of_a_pair_is_refused() -> None:
    with pytest.raises(TypeError, match="must override kick"):
        type("Nothing", (AsyncBroker,), {})()


async def test_what_cannot_be_sent_is_refused_with_the_reason(broker: InMemoryBroker) -> None:
    @broker.task
    async def work(value: Any) -> None: ...

    broker.max_message_size = 1000
    async with broker:
        with pytest.raises(MessageTooLargeError, match=r"bytes and the limit is 1000"):
            await work.kiq("x" * 2000)
        with pytest.raises(SendTaskError, match="cannot be serialised") as caught:
            await work.kiq(object())
        assert caught.value.outcome == "refused"
        with pytest.raises(SendTaskError, match="not registered"):
            await broker.kicker("nobody:knows").kiq()


async def test_a_backend_that_fails_for_a_moment_does_not_end_a_wait() -> None:
    class Flaky(InMemoryResultBackend):
        failures = 2

        async def wait_results(self, task_ids: Any, timeout: float | None = None) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("a blip")
            return await super().wait_results(task_ids, timeout)

    broker = InMemoryBroker(Flaky())

    @broker.task
    async def work() -> int:
        return 1

    async with broker:
        assert (await (await work.kiq()).wait_result(timeout=10)).return_value == 1


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
