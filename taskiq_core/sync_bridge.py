"""Sending from synchronous code."""

import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.lowlevel

from taskiq_core.abc.sender import Sender
from taskiq_core.callers_thread import CallersThread
from taskiq_core.exceptions import BrokerError, ConfigurationError, SendTaskError
from taskiq_core.transactions import served_by, transaction_of

T = TypeVar("T")


class Startable(Protocol):
    """What the bridge needs of a broker beside sending."""

    @property
    def home(self) -> "anyio.lowlevel.EventLoopToken | None":
        """The event loop in which this process started the broker; None while it has not."""
        ...

    async def startup(self) -> None: ...


_lock = threading.Lock()
_background: "_BackgroundLoop | None" = None


def run_from_sync(broker: Sender, function: Callable[[], Awaitable[T]], task_name: str) -> T:
    """Run an async send of a task and block until it is done.

    A broker that was started in a running event loop is used in that loop, from this other thread. Otherwise it is started
    in a background loop that lives as long as the process. After a fork the child starts both anew. Within a transaction the
    statements on the caller's connection run in the caller's thread.

    :raises RuntimeError: in a thread that runs an event loop.
    :raises SendTaskError: if the broker cannot be reached to start it.
    """
    _refuse_in_event_loop()
    if transaction_of(broker) is None:
        return _run(broker, function, task_name)
    caller = CallersThread()
    with served_by(caller):
        return caller.serve(lambda: _run(broker, function, task_name))


def _run(broker: Sender, function: Callable[[], Awaitable[T]], task_name: str) -> T:
    owner = cast("Startable", broker)
    token = getattr(owner, "home", None)
    if token is not None:
        value: T = anyio.from_thread.run(cast("Any", _awaiting(function)), token=token)
        return value

    async def start_and_run() -> T:
        if getattr(owner, "home", None) is None:
            await _start(owner, task_name)
        return await function()

    return _background_loop().portal.call(start_and_run)


async def _start(broker: Startable, task_name: str) -> None:
    try:
        await broker.startup()
    except BrokerError as error:
        if isinstance(error, ConfigurationError):
            raise
        raise SendTaskError(task_name=task_name, reason=str(error), outcome="refused") from error


def _awaiting(function: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    async def run() -> T:
        return await function()

    return run


def _background_loop() -> "_BackgroundLoop":
    global _background  # noqa: PLW0603 - one loop per process is the point
    with _lock:
        if _background is None:
            _background = _BackgroundLoop()
            # Not atexit: threads are joined before atexit handlers run.
            threading._register_atexit(_end_background_loop)  # type: ignore[attr-defined]  # pyright: ignore
        return _background


class _BackgroundLoop:
    """Not `start_blocking_portal`: its generator waits for the thread when it is collected, for ever in a forked child."""

    def __init__(self) -> None:
        self._ready: Future[anyio.from_thread.BlockingPortal] = Future()
        self._thread = threading.Thread(target=anyio.run, args=(self._serve,), name="taskiq-sync", daemon=True)
        self._thread.start()
        self.portal = self._ready.result()

    async def _serve(self) -> None:
        async with anyio.from_thread.BlockingPortal() as portal:
            self._ready.set_result(portal)
            await portal.sleep_until_stopped()

    def end(self) -> None:
        self.portal.call(self.portal.stop)
        self._thread.join()


def _end_background_loop() -> None:
    global _background
    background, _background = _background, None
    if background is not None:
        background.end()


def _forget_parent() -> None:
    """Threads do not survive a fork, and nobody will release a lock that one of them held."""
    global _lock, _background
    _lock, _background = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)


def _refuse_in_event_loop() -> None:
    try:
        anyio.lowlevel.current_token()
    except Exception:  # noqa: BLE001 - the kind of error depends on the backend; any means "no loop here"
        return
    msg = "This thread runs an event loop, which a synchronous send would block: use `await task.kiq(...)` here."
    raise RuntimeError(msg)
