"""Listeners: what they hear, in which order, and that nothing they do harms a task."""

import asyncio
import contextvars

import anyio
import anyio.lowlevel
import pytest

from taskiq_core import (
    Context,
    InMemoryBroker,
    Retry,
    TaskCancelled,
    TaskEnded,
    TaskEvent,
    TaskFailed,
    TaskFailure,
    TaskiqDepends,
    TaskRejected,
    TaskRequeued,
    TaskRetrying,
    TaskSent,
    TaskStarted,
    TaskSucceeded,
    announcer,
)
from taskiq_core.announcer import Announcer
from taskiq_core.exceptions import ConfigurationError

pytestmark = pytest.mark.anyio


async def test_a_listener_for_all_hears_the_whole_life_of_a_task() -> None:
    broker, heard = InMemoryBroker(), list[TaskEvent]()

    @broker.on(TaskEvent)
    async def listen(event: TaskEvent) -> None:
        await anyio.lowlevel.checkpoint()
        heard.append(event)

    @broker.task("act", queue="work", retry=Retry(1), team="billing")
    async def act(ctx: Context = TaskiqDepends()) -> str:
        if ctx.attempt == 1:
            raise OSError("not yet")
        return "done"

    async with broker:
        sent = await act.kiq()
        await broker.wait_all()
    run = [event for event in heard if not isinstance(event, TaskSent)]
    assert [type(event) for event in run] == [TaskStarted, TaskRetrying, TaskStarted, TaskSucceeded]
    assert {(event.task_id, event.task_name, event.queue) for event in heard} == {(sent.task_id, "act", "work")}
    assert {event.labels["team"] for event in heard} == {"billing"}
    assert [event.attempt for event in heard if isinstance(event, TaskStarted)] == [1, 2]
    _, retrying, _, success = run
    assert isinstance(retrying, TaskRetrying)
    assert retrying.error == "OSError: not yet"
    assert isinstance(retrying.exception, OSError)
    assert isinstance(success, TaskSucceeded)
    assert success.return_value == "done"
    assert success.execution_time > 0
    assert len(heard) == 5


async def test_each_end_has_its_event_and_an_exception_class_may_stand_for_it() -> None:
    broker, heard = InMemoryBroker(), list[TaskEnded]()

    @broker.on(TaskFailed, TaskRejected, TaskRequeued, TaskCancelled)
    def listen(event: TaskEnded) -> None:
        heard.append(event)

    @broker.task
    async def act(how: str, ctx: Context = TaskiqDepends()) -> object:
        if how == "reject":
            ctx.reject("spam")
        if how == "requeue" and "X-Taskiq-requeue" not in ctx.message.labels:
            await ctx.requeue()
        if how == "fail":
            raise TaskFailed("why not")
        return object() if how == "unfit" else None

    async with broker:
        for how in ("reject", "requeue", "fail", "unfit"):
            await act.kiq(how)
        await act.kicker().with_expires(0).kiq("late")
        await broker.wait_all()
    found = {type(event): event for event in heard}
    assert set(found) == {TaskFailure, TaskRejected, TaskRequeued, TaskCancelled}
    errors = sorted(event.error for event in heard if isinstance(event, TaskFailure))
    assert [error.partition(":")[0] for error in errors] == ["ResultNotSerializableError", "TaskFailed"]
    assert "expired" in found[TaskCancelled].reason
    assert "spam" in found[TaskRejected].reason


async def test_who_hears_of_an_end_can_read_the_result() -> None:
    broker, read = InMemoryBroker(), list[object]()

    @broker.on(TaskSucceeded)
    async def listen(event: TaskSucceeded) -> None:
        read.append((await broker.handle(event.task_id).get_result()).return_value)

    @broker.task
    async def act() -> int:
        return 5

    async with broker:
        await act.kiq()
        await broker.wait_all()
    assert read == [5]


async def test_a_listener_that_raises_or_hangs_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    broker, heard = InMemoryBroker(), list[str]()

    @broker.on(TaskSucceeded)
    def broken(event: TaskSucceeded) -> None:
        raise RuntimeError("broken")

    @broker.on(TaskSucceeded)
    async def stuck(event: TaskSucceeded) -> None:
        await anyio.sleep_forever()

    @broker.on(TaskSucceeded)
    async def good(event: TaskSucceeded) -> None:
        heard.append(event.task_id)

    @broker.task
    async def act() -> int:
        return 5

    async with broker:
        handles = [await act.kiq() for _ in range(3)]
        assert [await handle for handle in handles] == [5, 5, 5]
        await broker.wait_all()
    assert sorted(heard) == sorted(handle.task_id for handle in handles)
    assert caplog.text.count("broken failed for TaskSucceeded") == 3
    assert "2 events were not told to listener" in caplog.text


async def test_of_a_listener_that_cannot_follow_the_oldest_events_are_dropped(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "_MOST", 5)
    broker, heard, go_on = InMemoryBroker(), list[int](), anyio.Event()

    @broker.on(TaskSucceeded)
    async def slow(event: TaskSucceeded) -> None:
        heard.append(event.return_value)
        await go_on.wait()

    @broker.task
    async def echo(number: int) -> int:
        return number

    async with broker:
        for number in range(20):
            assert await (await echo.kiq(number)) == number
        await broker.wait_all()
        go_on.set()
    assert heard == [0, *range(15, 20)]
    assert caplog.text.count("cannot follow") == 1


async def test_a_listener_does_not_see_what_tasks_set_in_context_variables() -> None:
    broker, seen = InMemoryBroker(), list[str]()
    variable = contextvars.ContextVar("variable", default="untouched")

    @broker.on(TaskSent)
    def listen(event: TaskSent) -> None:
        seen.append(variable.get())

    @broker.task
    async def inner() -> None: ...

    @broker.task
    async def outer() -> None:
        variable.set("mine")
        await inner.kiq()

    async with broker:
        variable.set("also mine")
        await outer.kiq()
        await broker.wait_all()
    assert seen == ["untouched", "untouched"]


async def test_a_send_that_is_refused_is_no_event_and_a_delay_is_told() -> None:
    broker, heard = InMemoryBroker(), list[TaskSent]()
    broker.max_message_size = 1000

    @broker.on(TaskSent)
    def listen(event: TaskSent) -> None:
        heard.append(event)

    @broker.task
    async def act(text: str) -> None: ...

    async with broker:
        with pytest.raises(Exception, match="limit"):
            await act.kiq("x" * 2000)
        await act.kicker().with_delay(60).kiq("x")
    assert [event.delay for event in heard] == [60]


async def test_a_broker_can_be_started_again_and_is_heard_again() -> None:
    broker, heard = InMemoryBroker(), list[TaskEvent]()
    broker.on(TaskStarted)(heard.append)

    @broker.task
    async def act() -> None: ...

    for count in (1, 2):
        async with broker:
            await act.kiq()
            await broker.wait_all()
        assert len(heard) == count


def test_a_loop_that_has_ended_without_a_word_does_not_silence_a_listener() -> None:
    announced, heard = Announcer(), list[TaskEvent]()
    announced.add(heard.append, (TaskEvent,))
    event = TaskSent(task_id="1", task_name="a:b", at=0.0, queue=None, labels={}, delay=None)

    async def announce() -> None:
        announced.announce(event)
        await asyncio.sleep(0.01)

    loops = [asyncio.new_event_loop() for _ in range(2)]
    for count, loop in enumerate(loops, start=1):
        loop.run_until_complete(announce())
        assert len(heard) == count
    for loop in loops:
        loop.close()


def test_what_is_no_event_is_refused() -> None:
    broker = InMemoryBroker()
    with pytest.raises(ConfigurationError, match="no event of a task"):
        broker.on(ValueError)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="needs the classes"):
        broker.on()
