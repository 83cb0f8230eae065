"""Middlewares, callbacks and events of tasks that run in a process of their own."""

import os
import time
from typing import Any

import pytest

from taskiq_core import InMemoryBroker, TaskEvent, TaskFailure, TaskiqMessage, TaskiqMiddleware, TaskStarted, TaskSucceeded
from taskiq_core.abc.middleware import CallNext

pytestmark = pytest.mark.anyio


class Around(TaskiqMiddleware):
    async def around_execute(self, call_next: CallNext, message: TaskiqMessage) -> Any:
        return [os.getpid(), await call_next(message)]


broker = InMemoryBroker().with_middlewares(Around())
told: list[dict[str, Any]] = []
heard: list[TaskEvent] = []


@broker.task
async def tell(**facts: Any) -> None:
    told.append(facts)


@broker.on(TaskStarted, TaskSucceeded, TaskFailure)
def listen(event: TaskEvent) -> None:
    heard.append(event)


@broker.task(executor="process", on_success=tell, on_failure=tell)
def pid() -> int:
    return os.getpid()


@broker.task(executor="process", on_failure=tell)
def fail() -> int:
    raise ValueError("in another process")


@broker.task(executor="process", timeout=0.3, on_failure=tell)
def hang() -> None:
    time.sleep(60)


@broker.task(timeout=0.1)
def hang_in_thread() -> None:
    time.sleep(1)


@pytest.fixture(autouse=True)
def forget() -> None:
    told.clear()
    heard.clear()


async def test_what_wraps_a_run_is_in_its_process() -> None:
    async with broker:
        wrapper, inner = await (await pid.kiq())  # type: ignore[misc]
    assert wrapper == inner != os.getpid()


async def test_callbacks_and_events_are_made_where_the_worker_is() -> None:
    async with broker:
        for task in (pid, fail):
            await (await task.kiq()).wait_result(timeout=20)
        await broker.wait_all()
    success, failure = told
    assert success["result"][0] != os.getpid()
    assert failure["exception"] == "ValueError: in another process"
    assert "raise ValueError" in failure["traceback"]
    mine = [type(event) for event in heard if event.task_name != tell.task_name]
    assert mine == [TaskStarted, TaskSucceeded, TaskStarted, TaskFailure]


async def test_a_killed_run_has_its_callback_too() -> None:
    async with broker:
        await (await hang.kiq()).wait_result(timeout=20)
        await broker.wait_all()
    assert told[0]["exception"].startswith("TimeoutError: ")


async def test_a_timeout_covers_what_wraps_the_run() -> None:
    async with broker:
        result = await (await hang_in_thread.kiq()).wait_result(timeout=20)
    assert isinstance(result.error, TimeoutError)
