"""Whose doing a cancellation is."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import anyio


def is_stopped() -> bool:
    """Whether a scope around the caller is cancelled: what is raised then is the stop's doing, not the task's."""
    return anyio.current_effective_deadline() == -math.inf


def is_cancelled_natively() -> bool:
    """Whether asyncio itself was asked to cancel the calling task, as it is when its loop ends."""
    task = _native_task()
    return task is not None and task.cancelling() > 0


def forget_own_cancellation() -> None:
    """A task has cancelled the slot that it ran in (`asyncio.current_task().cancel()`): the slot goes on."""
    task = _native_task()
    while task is not None and task.cancelling() > 0:
        task.uncancel()


async def within(scope: anyio.CancelScope, run: Callable[[], Awaitable[None]]) -> None:
    """Run a room of the worker in its scope.

    :raises RuntimeError: for a cancellation that nobody outside has asked for.
    """
    with scope:
        try:
            await run()
        except anyio.get_cancelled_exc_class() as error:
            if is_stopped() or is_cancelled_natively():
                raise
            # On asyncio a stray CancelledError would end this room, and with it the worker, without a word.
            msg = "a hook or a plugin raised a cancellation of its own"
            raise RuntimeError(msg) from error


def _native_task() -> "asyncio.Task[object] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # trio, where only scopes cancel
        return None
