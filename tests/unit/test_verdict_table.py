"""The verdict table: each way in which a delivery can end, walked by a real worker over a real queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from support.watched import WatchedBroker

from taskiq_core import (
    Context,
    NoResultError,
    Retry,
    TaskFailed,
    TaskiqDepends,
    TaskRetry,
    Verdict,
)
from taskiq_core.worker.verdicts import Ending, judge

pytestmark = pytest.mark.anyio


@dataclass
class Row:
    ending: Ending
    task: Callable[..., Any]
    stored: bool
    verdict: Verdict
    error: str | None = None
    options: Any = None


async def returns() -> int:
    return 7


async def raises() -> None:
    raise ValueError("no")


async def signals_no_result() -> None:
    raise NoResultError


async def rejects(ctx: Context = TaskiqDepends()) -> None:
    ctx.reject("not for me")


async def requeues(ctx: Context = TaskiqDepends()) -> None:
    await ctx.requeue(delay=60)


async def asks_for_retry() -> None:
    raise TaskRetry(delay=60)


async def fails_for_good() -> None:
    raise TaskFailed("never again")


async def sleeps() -> None:
    await anyio.sleep_forever()


async def exits() -> None:
    raise SystemExit(3)


def exits_in_a_thread() -> None:
    raise SystemExit(3)


def stops_iteration_in_a_thread() -> None:
    raise StopIteration


async def interrupts() -> None:
    raise KeyboardInterrupt


async def exits_like_a_generator() -> None:
    raise GeneratorExit


async def fails_in_a_group() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(raises)
        await anyio.sleep_forever()


async def nests_too_deeply() -> list[Any]:
    value: list[Any] = []
    for _ in range(2000):
        value = [value]
    return value


async def returns_nonsense() -> object:
    return object()


async def recurses() -> None:
    await recurses()


ROWS = {
    "returned": Row(Ending.RETURNED, returns, True, Verdict.ACK),
    "raised, retry granted": Row(Ending.RETRIED, raises, False, Verdict.RETRY, options={"retry": Retry(1, delay=60)}),
    "raised, asked for a retry": Row(Ending.RETRIED, asks_for_retry, False, Verdict.RETRY),
    "raised, no retry": Row(Ending.FAILED, raises, True, Verdict.ACK, "ValueError"),
    "raised, none of `on`": Row(Ending.FAILED, raises, True, Verdict.ACK, "ValueError", {"retry": Retry(3, on=(KeyError,))}),
    "raised, one of `never`": Row(
        Ending.FAILED, raises, True, Verdict.ACK, "ValueError", {"retry": Retry(3, never=(ValueError,))}
    ),
    "TaskFailed beats retry": Row(Ending.FAILED, fails_for_good, True, Verdict.ACK, "TaskFailed", {"retry": 3}),
    "raised, dead letter wanted": Row(
        Ending.FAILED_KEEP_COPY, raises, True, Verdict.REJECT, "ValueError", {"dead_letter": True}
    ),
    "NoResultError": Row(Ending.NO_RESULT, signals_no_result, False, Verdict.ACK),
    "reject": Row(Ending.REJECTED, rejects, True, Verdict.REJECT, "TaskRejectedError"),
    "reject beats retry": Row(Ending.REJECTED, rejects, True, Verdict.REJECT, "TaskRejectedError", {"retry": 3}),
    "requeue": Row(Ending.REQUEUED, requeues, False, Verdict.RETRY),
    "timed out": Row(Ending.FAILED, sleeps, True, Verdict.ACK, "TimeoutError", {"timeout": 0.05}),
    "timed out, retried": Row(
        Ending.RETRIED, sleeps, False, Verdict.RETRY, options={"timeout": 0.05, "retry": Retry(1, delay=60)}
    ),
    "SystemExit": Row(Ending.FAILED, exits, True, Verdict.ACK, "SystemExit"),
    "result not serialisable": Row(Ending.RETURNED, returns_nonsense, True, Verdict.ACK, "ResultNotSerializableError"),
    "recursion": Row(Ending.FAILED, recurses, True, Verdict.ACK, "RecursionError"),
    "SystemExit in a thread": Row(Ending.FAILED, exits_in_a_thread, True, Verdict.ACK, "SystemExit"),
    "StopIteration in a thread": Row(Ending.FAILED, stops_iteration_in_a_thread, True, Verdict.ACK, "RuntimeError"),
    "KeyboardInterrupt": Row(Ending.FAILED, interrupts, True, Verdict.ACK, "KeyboardInterrupt"),
    "GeneratorExit": Row(Ending.FAILED, exits_like_a_generator, True, Verdict.ACK, "GeneratorExit"),
    "error group": Row(Ending.FAILED, fails_in_a_group, True, Verdict.ACK, "ExceptionGroup"),
    "result nested too deeply": Row(Ending.RETURNED, nests_too_deeply, True, Verdict.ACK, "ResultNotSerializableError"),
    "result not wanted": Row(Ending.RETURNED, returns, False, Verdict.ACK, options={"store_result": False}),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
async def test_row(row: Row) -> None:
    assert judge(row.ending).verdict is row.verdict
    broker = WatchedBroker()
    task = broker.register_task(row.task, **(row.options or {}))
    after = broker.register_task(returns, "next")
    async with broker:
        handle = await task.kiq()
        settlement = await broker.first_verdict()
        assert settlement.verdict is row.verdict
        assert await handle.is_ready() is row.stored
        if row.stored:
            result = await handle.get_result()
            assert result.is_err is (row.error is not None)
            assert row.error is None or type(result.error).__name__ == row.error
        if row.verdict is Verdict.REJECT:
            (letter,) = await broker.admin.dead_letters()
            assert letter.reason
        assert await (await after.kiq()) == 7, "the worker lives and the next task runs"


def test_table_has_a_row_for_every_ending() -> None:
    for ending in Ending:
        assert judge(ending).verdict in Verdict
