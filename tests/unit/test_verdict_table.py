"""The verdict table: each way in which a delivery can end, walked by a real worker over a real queue."""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from taskiq_core import (
    Context,
    Delivery,
    InMemoryBroker,
    NoResultError,
    Retry,
    Settlement,
    Subscription,
    TaskFailed,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskRetry,
    Verdict,
    Worker,
    WorkerSettings,
)
from taskiq_core.brokers.inmemory import MemorySubscription
from taskiq_core.message import BrokerMessage
from taskiq_core.worker.verdicts import Ending, judge

pytestmark = pytest.mark.anyio


class WatchedSubscription(MemorySubscription):
    """Writes down what the worker settles."""

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await super().settle(settlements)
        self._broker.settled.extend(settlements)  # type: ignore[attr-defined]
        self._broker.wake()


class WatchedBroker(InMemoryBroker):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.settled: list[Settlement] = []

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return WatchedSubscription(self, queues, self._lease)

    async def first_verdict(self) -> Settlement:
        with anyio.fail_after(10):
            while not self.settled:
                await self.changed(None)
        return self.settled[0]


@dataclass
class Row:
    ending: Ending
    task: Callable[..., Awaitable[Any]]
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


async def test_undecodable_body_is_dead_lettered_with_its_bytes_and_a_reason() -> None:
    broker = WatchedBroker()
    async with broker:
        await broker.kick_many([BrokerMessage("x", "y", b"\xc1 garbage")])
        assert (await broker.first_verdict()).verdict is Verdict.REJECT
        (letter,) = await broker.admin.dead_letters()
        assert letter.body == b"\xc1 garbage"
        assert "cannot be decoded" in letter.reason


async def test_unknown_task_is_passed_on_and_in_the_end_dead_lettered() -> None:
    broker = WatchedBroker()
    message = TaskiqMessage(uuid.uuid4().hex, "nobody:knows")
    async with broker:
        await broker.kick_many([broker.formatter.dumps(message)])
        settlement = await broker.first_verdict()
        assert settlement.verdict is Verdict.RELEASE
        assert settlement.delay
        broker.settled.clear()
        seen = broker.formatter.loads(settlement.body or b"")
        seen.labels["_unknown"] = 9
        seen.task_id = uuid.uuid4().hex
        await broker.kick_many([broker.formatter.dumps(seen)])
        assert (await broker.first_verdict()).verdict is Verdict.REJECT
        assert (await broker.handle(seen.task_id).get_result()).is_err
        (letter,) = await broker.admin.dead_letters()
        assert "nobody:knows" in letter.reason


async def test_raising_pre_execute_hook_gives_an_error_result() -> None:
    class Refuses(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            raise PermissionError(message.task_name)

    broker = WatchedBroker()
    broker.add_middlewares(Refuses())
    task = broker.register_task(returns, retry=3)
    async with broker:
        handle = await task.kiq()
        assert (await broker.first_verdict()).verdict is Verdict.ACK
        assert isinstance((await handle.get_result()).error, PermissionError)


async def test_worker_stopping_past_its_grace_gives_the_message_back_and_burns_no_retry() -> None:
    broker = WatchedBroker()
    broker.is_worker_process = True
    started = anyio.Event()

    @broker.task(retry=1)
    async def long() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, WorkerSettings(grace=0.05))
        group.start_soon(worker.serve)
        await long.kiq()
        await started.wait()
        worker.stop()
    (settlement,) = broker.settled
    assert settlement.verdict is Verdict.RELEASE
    assert settlement.body is None
    assert (await broker.admin.depth("default")).ready == 1


async def test_cancelling_the_worker_gives_the_message_back_and_is_not_swallowed() -> None:
    broker = WatchedBroker()
    broker.is_worker_process = True
    started = anyio.Event()

    @broker.task
    async def long() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker:
        await long.kiq()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(Worker(broker).serve)
                await started.wait()
                scope.cancel()
        assert scope.cancelled_caught
    assert [item.verdict for item in broker.settled] == [Verdict.RELEASE]


async def test_result_that_cannot_be_stored_gives_the_message_back() -> None:
    broker = WatchedBroker()

    async def refuse(results: Any) -> None:
        raise OSError("the store is away")

    broker.result_backend.set_results = refuse  # type: ignore[method-assign]
    task = broker.register_task(returns)
    broker.is_worker_process = True
    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, WorkerSettings(result_retry=0.05))
        group.start_soon(worker.serve)
        await task.kiq()
        assert (await broker.first_verdict()).verdict is Verdict.RELEASE
        worker.stop(now=True)
        group.cancel_scope.cancel()


async def test_expired_message_is_not_started() -> None:
    broker = WatchedBroker()
    ran: list[int] = []

    @broker.task
    async def late() -> None:
        ran.append(1)

    async with broker:
        handle = await late.kicker().with_labels(expires_at=1.0).kiq()
        assert (await broker.first_verdict()).verdict is Verdict.ACK
        assert (await handle.get_result()).is_err
        assert not ran


def test_table_has_a_row_for_every_ending() -> None:
    for ending in Ending:
        assert judge(ending).verdict in Verdict
    assert Delivery(b"").deaths == 0
