"""Generators are closed after the task, in reverse order, whatever happened."""

import contextlib
import logging

import anyio
import pytest
from support.dependencies import run

from taskiq_core.depends import TaskiqDepends
from taskiq_core.depends import resolver as resolver_module
from taskiq_core.exceptions import TaskRejectedError

pytestmark = pytest.mark.anyio


class Journal:
    """Two nested generators, one of each kind, that write down what they see."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def outer(self):
        self.lines.append("open outer")
        try:
            yield "outer"
        except BaseException as error:
            self.lines.append(f"outer saw {type(error).__name__}")
            raise
        finally:
            self.lines.append("close outer")

    def task(self, func, inner=None):
        journal = self

        async def default_inner(_=TaskiqDepends(self.outer)):
            journal.lines.append("open inner")
            try:
                yield "inner"
            except BaseException as error:
                journal.lines.append(f"inner saw {type(error).__name__}")
                raise
            finally:
                await anyio.lowlevel.checkpoint()
                journal.lines.append("close inner")

        async def task(_=TaskiqDepends(inner or default_inner)):
            return await func()

        return task


async def succeed():
    return "done"


async def fail():
    msg = "task"
    raise ValueError(msg)


async def test_generators_close_in_reverse_order():
    journal = Journal()
    assert await run(journal.task(succeed)) == "done"
    assert journal.lines == ["open outer", "open inner", "close inner", "close outer"]


async def test_generators_see_the_error_of_the_task():
    journal = Journal()
    with pytest.raises(ValueError, match="task"):
        await run(journal.task(fail))
    assert journal.lines[2:] == ["inner saw ValueError", "close inner", "outer saw ValueError", "close outer"]


async def test_generators_do_not_see_it_where_errors_do_not_propagate():
    journal = Journal()
    with pytest.raises(ValueError, match="task"):
        await run(journal.task(fail), propagate=False)
    assert journal.lines[2:] == ["close inner", "close outer"]


async def test_a_generator_cannot_turn_a_failure_into_a_success():
    journal = Journal()

    async def swallow(_=TaskiqDepends(journal.outer)):
        with contextlib.suppress(ValueError):
            yield

    with pytest.raises(ValueError, match="task"):
        await run(journal.task(fail, swallow))
    assert journal.lines[1:] == ["outer saw ValueError", "close outer"]


async def test_a_failing_teardown_is_the_error_of_a_task_that_succeeded():
    journal = Journal()

    async def commit(_=TaskiqDepends(journal.outer)):
        yield
        msg = "commit"
        raise ConnectionError(msg)

    with pytest.raises(ConnectionError, match="commit"):
        await run(journal.task(succeed, commit))
    assert journal.lines[1:] == ["outer saw ConnectionError", "close outer"]


@pytest.mark.parametrize("propagate", [True, False])
async def test_a_failing_teardown_takes_the_place_of_the_task_s_error_and_keeps_it_as_context(propagate):
    async def rollback():
        try:
            yield
        finally:
            raise ConnectionError

    with pytest.raises(ConnectionError) as caught:
        await run(Journal().task(fail, rollback), propagate=propagate)
    assert isinstance(caught.value.__context__, ValueError)


async def test_a_generator_may_translate_errors():
    async def translate():
        try:
            yield
        except ValueError as error:
            raise TaskRejectedError(reason="translated") from error

    with pytest.raises(TaskRejectedError, match="translated"):
        await run(Journal().task(fail, translate))


async def test_a_failing_dependency_closes_those_before_it_and_the_task_is_not_called():
    journal = Journal()

    def broken(_=TaskiqDepends(journal.outer)):
        msg = "broken"
        raise LookupError(msg)

    async def task(_=TaskiqDepends(broken)):
        raise AssertionError

    with pytest.raises(LookupError, match="broken"):
        await run(task)
    assert journal.lines == ["open outer", "outer saw LookupError", "close outer"]


async def test_a_generator_that_yields_twice_or_never_is_an_error():
    def twice():
        yield
        yield

    def never():
        return
        yield

    for dependency in (twice, never):
        with pytest.raises(RuntimeError, match="generator"):
            await run(Journal().task(succeed, dependency))


async def test_a_cancelled_task_s_generators_still_close():
    journal = Journal()
    closed = anyio.Event()

    async def slow_close(_=TaskiqDepends(journal.outer)):
        try:
            yield
        finally:
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(0)
            closed.set()

    running = anyio.Event()

    async def body():
        running.set()
        await anyio.sleep_forever()

    after = False
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:

            async def job():
                nonlocal after
                await run(journal.task(body, slow_close))
                after = True

            group.start_soon(job)
            await running.wait()
            group.cancel_scope.cancel()
    assert closed.is_set()
    assert not after
    assert journal.lines[-1] == "close outer"


async def test_a_teardown_that_fails_does_not_hide_a_cancellation(caplog):
    async def broken():
        try:
            yield
        finally:
            msg = "teardown"
            raise ConnectionError(msg)

    with anyio.CancelScope() as scope, caplog.at_level(logging.ERROR):
        scope.cancel()
        await run(Journal().task(anyio.sleep_forever, broken))
    assert scope.cancelled_caught
    assert "Closing a dependency failed" in caplog.text


@pytest.mark.parametrize("func", [succeed, fail])
async def test_a_teardown_that_hangs_is_cut_off(func, monkeypatch):
    monkeypatch.setattr(resolver_module, "TEARDOWN_TIMEOUT", 0.05)
    journal = Journal()

    async def hang(_=TaskiqDepends(journal.outer)):
        try:
            yield
        finally:
            await anyio.sleep_forever()

    with anyio.fail_after(10), pytest.raises(TimeoutError, match=r"not closed within 0\.05 seconds") as caught:
        await run(journal.task(func, hang))
    assert isinstance(caught.value.__cause__, ValueError) is (func is fail)
    assert journal.lines[-1] == "close outer"


async def test_a_teardown_that_hangs_does_not_hide_a_cancellation(monkeypatch):
    monkeypatch.setattr(resolver_module, "TEARDOWN_TIMEOUT", 0.05)

    async def hang():
        try:
            yield
        finally:
            await anyio.sleep_forever()

    after = False
    with anyio.fail_after(10), anyio.CancelScope() as scope:
        scope.cancel()
        await run(Journal().task(anyio.sleep_forever, hang))
        after = True
    assert scope.cancelled_caught
    assert not after


async def test_a_generator_may_hold_a_task_group_or_a_scope_open():
    async def group():
        async with anyio.create_task_group() as tasks:
            yield tasks

    async def limited(tasks=TaskiqDepends(group)):
        with anyio.move_on_after(60):
            yield tasks

    finished = anyio.Event()

    async def background():
        await anyio.lowlevel.checkpoint()
        finished.set()

    async def task(tasks=TaskiqDepends(limited)):
        tasks.start_soon(background)

    await run(task)
    assert finished.is_set()

    async def cancelled(tasks=TaskiqDepends(limited)):
        tasks.start_soon(anyio.sleep_forever)
        await anyio.sleep_forever()

    with anyio.fail_after(10), anyio.CancelScope() as scope:
        scope.cancel()
        await run(cancelled)
    assert scope.cancelled_caught
