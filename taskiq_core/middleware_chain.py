"""Middlewares compiled into one function per hook."""

import asyncio
import functools
import inspect
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio

from taskiq_core.abc.middleware import CallNext, TaskiqMiddleware
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult

logger = logging.getLogger("taskiq.middleware")

Transform = Callable[[TaskiqMessage], Awaitable[TaskiqMessage]]
Around = Callable[[CallNext, TaskiqMessage], Awaitable[Any]]


class MiddlewareChain:
    """One attribute per hook: a function that runs all overrides of it, or None if there is no override.

    So the hot path asks once: `if chain.pre_send is not None: message = await chain.pre_send(message)`. Overrides are looked
    for when the chain is made: in subclasses, and on the instance. Things that are no middleware are left out with a warning.

    `pre_send`, `pre_execute` and `around_execute` run in the order given and let errors through; the others run in reverse,
    and an error in one is logged and keeps neither the others nor the caller from going on. That holds for every error, also
    for a cancellation that nobody outside asked for; Ctrl-C and cancellations from outside go through.
    """

    __slots__ = (
        "around_execute",
        "middlewares",
        "on_error",
        "post_execute",
        "post_save",
        "post_send",
        "pre_execute",
        "pre_send",
    )

    def __init__(self, middlewares: Iterable[TaskiqMiddleware] = ()) -> None:
        self.middlewares: tuple[TaskiqMiddleware, ...] = tuple(filter(_is_middleware, middlewares))
        self.pre_send: Transform | None = _transform(self._overrides("pre_send"))
        self.pre_execute: Transform | None = _transform(self._overrides("pre_execute"))
        self.around_execute: Around | None = _nest(self._overrides("around_execute"))
        self.post_send: Callable[[TaskiqMessage], Awaitable[None]] | None = _observe(self._overrides("post_send"))
        self.on_error: Callable[[TaskiqMessage, TaskiqResult[Any], BaseException], Awaitable[None]] | None = _observe(
            self._overrides("on_error")
        )
        self.post_execute: Callable[[TaskiqMessage, TaskiqResult[Any]], Awaitable[None]] | None = _observe(
            self._overrides("post_execute")
        )
        self.post_save: Callable[[TaskiqMessage, TaskiqResult[Any]], Awaitable[None]] | None = _observe(
            self._overrides("post_save")
        )

    async def startup(self) -> None:
        """Start all, in order; the first error ends it."""
        for middleware in self.middlewares:
            started = middleware.startup()
            if inspect.isawaitable(started):
                await started

    async def shutdown(self) -> None:
        """Stop all, in reverse; errors are logged."""
        for middleware in reversed(self.middlewares):
            try:
                stopped = middleware.shutdown()
                if inspect.isawaitable(stopped):
                    await stopped
            except BaseException as error:
                if is_from_outside(error):
                    raise
                logger.exception("%s.shutdown() failed", type(middleware).__qualname__)

    def _overrides(self, hook: str) -> list[Callable[..., Any]]:
        plain = getattr(TaskiqMiddleware, hook)
        return [
            getattr(middleware, hook)
            for middleware in self.middlewares
            if getattr(type(middleware), hook) is not plain or hook in vars(middleware)
        ]


def _is_middleware(candidate: Any) -> bool:
    if isinstance(candidate, TaskiqMiddleware):
        return True
    logger.warning("%r is left out: it is no instance of a TaskiqMiddleware subclass", candidate)
    return False


def _transform(hooks: list[Callable[..., Any]]) -> Transform | None:
    async def run(message: TaskiqMessage) -> TaskiqMessage:
        for hook in hooks:
            changed = hook(message)
            if inspect.isawaitable(changed):
                changed = await changed
            if not isinstance(changed, TaskiqMessage):
                msg = f"{_name(hook)}() must return the message, it returned {changed!r}"
                raise TypeError(msg)
            message = changed
        return message

    return run if hooks else None


def _observe(hooks: list[Callable[..., Any]]) -> Callable[..., Awaitable[None]] | None:
    hooks = hooks[::-1]

    async def run(message: TaskiqMessage, *facts: Any) -> None:
        for hook in hooks:
            try:
                answer = hook(message, *facts)
                if inspect.isawaitable(answer):
                    await answer
            except BaseException as error:
                if is_from_outside(error):
                    raise
                logger.exception("%s() failed for task %s (%s)", _name(hook), message.task_name, message.task_id)

    return run if hooks else None


def _nest(hooks: list[Callable[..., Any]]) -> Around | None:
    def run(call_next: CallNext, message: TaskiqMessage) -> Awaitable[Any]:
        for hook in reversed(hooks):
            call_next = functools.partial(hook, call_next)
        return call_next(message)

    return run if hooks else None


def is_from_outside(error: BaseException) -> bool:
    """Whether `error` came to the hook rather than from it."""
    if isinstance(error, Exception):
        return False
    if isinstance(error, GeneratorExit | KeyboardInterrupt) or anyio.current_effective_deadline() == -math.inf:
        return True
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        return False
    task = asyncio.current_task()  # which may also be cancelled without a scope: `task.cancel()`, `asyncio.timeout()`
    return task is not None and task.cancelling() > 0


def _name(hook: Callable[..., Any]) -> str:
    return str(getattr(hook, "__qualname__", hook))
