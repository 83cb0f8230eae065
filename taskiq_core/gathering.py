"""Waiting for many tasks at once."""

from collections.abc import Awaitable
from datetime import timedelta
from itertools import islice
from typing import Any, cast, overload

import anyio
from typing_extensions import TypeVar

from taskiq_core import clock
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.exceptions import TaskiqResultTimeoutError
from taskiq_core.result import TaskiqResult
from taskiq_core.task import AsyncTaskiqTask, as_timeout, wait_for_any

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

_WINDOW = 500
"""How many results are asked for at once: all are needed in the end, and asking for the rest again and again is not free."""

Handle = AsyncTaskiqTask[T] | Awaitable[AsyncTaskiqTask[T]]


@overload
async def gather(
    a: Handle[T1], b: Handle[T2], /, *, timeout: float | timedelta | None = ..., with_logs: bool = ..., periodicity: float = ...
) -> tuple[TaskiqResult[T1], TaskiqResult[T2]]: ...
@overload
async def gather(
    a: Handle[T1],
    b: Handle[T2],
    c: Handle[T3],
    /,
    *,
    timeout: float | timedelta | None = ...,
    with_logs: bool = ...,
    periodicity: float = ...,
) -> tuple[TaskiqResult[T1], TaskiqResult[T2], TaskiqResult[T3]]: ...
@overload
async def gather(
    *tasks: Handle[T], timeout: float | timedelta | None = ..., with_logs: bool = ..., periodicity: float = ...
) -> tuple[TaskiqResult[T], ...]: ...
async def gather(
    *tasks: Any,
    timeout: float | timedelta | None = None,
    with_logs: bool = False,
    periodicity: float = 0.1,
) -> tuple[TaskiqResult[Any], ...]:
    """Results of many tasks, in the order given; one question to each backend for all of them.

    Takes handles, and `kiq()` calls that are not awaited yet (those are sent first, together). `timeout` in seconds covers
    all; None or negative waits as long as it takes.

    :raises TaskiqResultTimeoutError: if any result is missing by then.
    """
    handles = await _sent(tasks)
    seconds = as_timeout(timeout)
    deadline = None if seconds is None else clock.monotonic() + seconds
    by_backend: dict[int, tuple[AsyncResultBackend[Any], dict[str, None]]] = {}
    for handle in handles:
        handle.require_results()
        by_backend.setdefault(id(handle.result_backend), (handle.result_backend, {}))[1][handle.task_id] = None
    results: dict[tuple[int, str], TaskiqResult[Any]] = {}
    for key, (backend, missing) in by_backend.items():
        while missing:
            left = None if deadline is None else max(0.0, deadline - clock.monotonic())
            found = await wait_for_any(backend, list(islice(missing, _WINDOW)), left)
            if not found:
                raise TaskiqResultTimeoutError(timeout=seconds)
            for task_id, result in found.items():
                results[key, task_id] = result
                missing.pop(task_id, None)
    return tuple(handle.typed(results[id(handle.result_backend), handle.task_id]) for handle in handles)


async def _sent(tasks: tuple[Any, ...]) -> list[AsyncTaskiqTask[Any]]:
    handles: list[AsyncTaskiqTask[Any] | None] = [task if isinstance(task, AsyncTaskiqTask) else None for task in tasks]

    async def send(index: int) -> None:
        handles[index] = await tasks[index]

    waiting = [index for index, handle in enumerate(handles) if handle is None]
    if len(waiting) == 1:
        await send(waiting[0])
    elif waiting:
        try:
            async with anyio.create_task_group() as group:
                for index in waiting:
                    group.start_soon(send, index)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
    return cast("list[AsyncTaskiqTask[Any]]", handles)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: Any = errors
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[Any]", error).exceptions[0]
    first: BaseException = error
    return first
