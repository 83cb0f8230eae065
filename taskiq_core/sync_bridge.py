"""Sending from synchronous code."""

import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.lowlevel

from taskiq_core.abc.sender import Sender

T = TypeVar("T")


class Startable(Protocol):
    """What the bridge needs of a broker beside sending."""

    home: "anyio.lowlevel.EventLoopToken | None"
    """The event loop in which the broker was started; None while it is not."""

    async def startup(self) -> None: ...


_lock = threading.Lock()
_stack = ExitStack()
_portal: anyio.from_thread.BlockingPortal | None = None


def run_from_sync(broker: Sender, function: Callable[[], Awaitable[T]]) -> T:
    """Run an async send and block until it is done.

    A broker that was started in a running event loop is used in that loop, from this other thread. Otherwise it is started
    in a background loop that lives as long as the process.

    :raises RuntimeError: in a thread that runs an event loop.
    """
    _refuse_in_event_loop()
    owner = cast("Startable", broker)
    token = getattr(owner, "home", None)
    if token is not None:
        value: T = anyio.from_thread.run(cast("Any", _awaiting(function)), token=token)
        return value

    async def start_and_run() -> T:
        if getattr(owner, "home", None) is None:
            await owner.startup()
        return await function()

    return _background_loop().call(start_and_run)


def _awaiting(function: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    async def run() -> T:
        return await function()

    return run


def _background_loop() -> anyio.from_thread.BlockingPortal:
    global _portal  # noqa: PLW0603 - one loop per process is the point
    with _lock:
        if _portal is None:
            _portal = _stack.enter_context(anyio.from_thread.start_blocking_portal(name="taskiq-sync"))
            # Not atexit: the portal's thread is not a daemon, and threads are joined before atexit handlers run.
            threading._register_atexit(_stack.close)  # type: ignore[attr-defined]  # pyright: ignore
        return _portal


def _refuse_in_event_loop() -> None:
    try:
        anyio.lowlevel.current_token()
    except Exception:  # noqa: BLE001 - the kind of error depends on the backend; any means "no loop here"
        return
    msg = "This thread runs an event loop, which a synchronous send would block: use `await task.kiq(...)` here."
    raise RuntimeError(msg)
