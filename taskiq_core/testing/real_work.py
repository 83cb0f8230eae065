"""Threads and processes, which work in real time whatever the clock says."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, contextmanager
from typing import Any, cast

import anyio.lowlevel
import anyio.to_thread

from taskiq_core.worker.sandbox import SandboxPool

Hold = Callable[[], AbstractContextManager[None]]
Turn = Callable[[], AbstractAsyncContextManager[None]]


@contextmanager
def holding(hold: Hold, turn: Turn) -> Generator[None]:
    """Within it, time is held while the event loop waits for a thread (of anyio, asyncio or trio) or a task's process.

    Threads of anyio, in which `def` tasks run, wait for their turn before. A thread that was given up holds nothing any more.
    """
    with ExitStack() as undo:
        replace_part(undo, anyio.to_thread, "run_sync", _held(_in_turn(anyio.to_thread.run_sync, turn), hold))
        replace_part(undo, SandboxPool, "ask", _held(SandboxPool.ask, hold))
        loop = anyio.lowlevel.current_token().native_token
        if isinstance(loop, asyncio.AbstractEventLoop):
            replace_part(undo, loop, "run_in_executor", _held_future(loop.run_in_executor, hold))
        else:
            import trio

            replace_part(undo, trio.to_thread, "run_sync", _held(trio.to_thread.run_sync, hold))
        yield


def _held(function: Callable[..., Awaitable[Any]], hold: Hold) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with hold():
            return await function(*args, **kwargs)

    return call


def _in_turn(function: Callable[..., Awaitable[Any]], turn: Turn) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with turn():
            return await function(*args, **kwargs)

    return call


def _held_future(function: Callable[..., "asyncio.Future[Any]"], hold: Hold) -> Callable[..., "asyncio.Future[Any]"]:
    def call(*args: Any) -> "asyncio.Future[Any]":
        with ExitStack() as stack:
            stack.enter_context(hold())
            future = function(*args)
            held = stack.pop_all()
        future.add_done_callback(lambda _: held.close())
        return future

    return call


def replace_part(undo: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Exchange an attribute of one object until `undo` is closed."""
    own = cast("dict[str, Any]", vars(owner))
    if name in own:
        undo.callback(setattr, owner, name, own[name])
    else:
        undo.callback(delattr, owner, name)
    setattr(owner, name, value)
