"""What a type checker makes of dependencies; the same lines run as a test."""

from typing import Annotated, Any, NoReturn, assert_type

from pydantic import TypeAdapter

from taskiq_core.context import Context
from taskiq_core.depends import Progress, ProgressTracker, Resolver, TaskiqDepends
from taskiq_core.depends.progress_tracker import TaskProgress
from taskiq_core.message import TaskiqMessage
from taskiq_core.signature import ArgumentBinder, compile_arguments, return_adapter, retype


def connect() -> str:
    return "connection"


async def task(
    number: int,
    connection: Annotated[str, TaskiqDepends(connect)],
    *,
    ctx: Context = TaskiqDepends(),
    progress: Progress = TaskiqDepends(),
    tracker: ProgressTracker[int] = TaskiqDepends(),
) -> float:
    assert_type(connection, str)
    assert_type(ctx.message, TaskiqMessage)
    assert_type(ctx.attempt, int)
    assert_type(await progress.set(1, total=2), None)
    assert_type(await tracker.get_progress(), TaskProgress[int] | None)
    return float(number)


async def requeue(ctx: Context = TaskiqDepends()) -> NoReturn:
    await ctx.requeue(1.0)


def reject(ctx: Context = TaskiqDepends()) -> NoReturn:
    ctx.reject("no")


def test_types() -> None:
    assert_type(TaskiqDepends(connect), Any)
    assert_type(Resolver.of(task), Resolver | None)
    binder = assert_type(compile_arguments(task, injected={"connection", "ctx", "progress", "tracker"}), ArgumentBinder)
    assert_type(binder([1], {}), tuple[list[Any], dict[str, Any]])
    assert_type(return_adapter(task), TypeAdapter[Any] | None)
    assert_type(retype(None, 1), Any)


def test_names_of_what_is_injected() -> None:
    resolver = Resolver.of(task)
    assert resolver is not None
    assert_type(resolver.names, frozenset[str])
    assert resolver.names == {"connection", "ctx", "progress", "tracker"}
