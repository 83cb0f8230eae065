"""Work elsewhere that needs the thread of the caller."""

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from taskiq_core.callers_thread import CallersThread


def served(backend: str, main: Callable[[CallersThread], Awaitable[Any]]) -> Any:
    """What `main` returns, run in an event loop elsewhere while this thread serves it."""
    caller = CallersThread()
    return caller.serve(lambda: anyio.run(main, caller, backend=backend))


def test_jobs_run_in_the_callers_thread_and_the_rest_elsewhere(anyio_backend: str) -> None:
    places: list[int] = []

    async def main(caller: CallersThread) -> int:
        await caller.run(lambda: places.append(threading.get_ident()))
        await caller.run(lambda: places.append(threading.get_ident()))
        return threading.get_ident()

    elsewhere = served(anyio_backend, main)
    assert places == [threading.get_ident()] * 2
    assert elsewhere != threading.get_ident()


def test_errors_go_to_who_asked_and_to_the_caller(anyio_backend: str) -> None:
    async def main(caller: CallersThread) -> None:
        with pytest.raises(ZeroDivisionError):
            await caller.run(lambda: 1 / 0)
        raise KeyError("the end")

    with pytest.raises(KeyError, match="the end"):
        served(anyio_backend, main)


def test_what_interrupts_the_caller_ends_the_wait_of_both(anyio_backend: str) -> None:
    seen: list[BaseException] = []
    ended = threading.Event()

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def main(caller: CallersThread) -> None:
        try:
            for job in (interrupt, lambda: None):
                try:
                    await caller.run(job)
                except RuntimeError as error:
                    seen.append(error)
        finally:
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        served(anyio_backend, main)
    assert ended.wait(10)
    assert [str(error) for error in seen] == ["the thread that this was to run in waits no longer"] * 2


def test_a_cancelled_job_is_not_begun(anyio_backend: str) -> None:
    begun: list[str] = []
    holding, cancelled = threading.Event(), threading.Event()

    def hold() -> None:
        holding.set()
        cancelled.wait(10)

    async def main(caller: CallersThread) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(caller.run, hold)
            while not holding.is_set():
                await anyio.sleep(0.01)
            with anyio.move_on_after(0.05):
                await caller.run(lambda: begun.append("late"))
            cancelled.set()
        await caller.run(lambda: begun.append("last"))

    served(anyio_backend, main)
    assert begun == ["last"]
