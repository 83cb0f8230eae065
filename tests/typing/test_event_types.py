"""What a type checker makes of listeners; the same lines run as a test."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from collections.abc import Callable
from typing import Any, assert_type

from taskiq_core import InMemoryBroker, TaskEvent, TaskFailed, TaskFailure, TaskRetrying, TaskStarted, TaskSucceeded

broker = InMemoryBroker()


@broker.on(TaskStarted)
async def started(event: TaskStarted) -> None:
    assert_type(event.attempt, int)


@broker.on(TaskFailed)
def failed(event: TaskFailure) -> str:
    assert_type(event.exception, BaseException | None)
    return event.error


@broker.on(TaskSucceeded, TaskFailed)
async def ended(event: TaskSucceeded | TaskFailure) -> float:
    return event.execution_time


@broker.on(TaskSucceeded, TaskFailed, TaskRetrying)
async def of_three(event: TaskSucceeded | TaskFailure | TaskRetrying) -> None: ...


@broker.on(TaskStarted, TaskSucceeded, TaskFailed, TaskRetrying)
def of_four(event: TaskEvent) -> None: ...


@broker.on(TaskStarted)
def for_more(event: TaskEvent) -> None: ...


broker.on(TaskFailed)(started)  # type: ignore[arg-type]


def test_types() -> None:
    assert_type(failed, Callable[[TaskFailure], str])
    assert_type(of_four, Callable[[Any], None])
    assert getattr(failed, "__name__", None) == "failed"
