"""Rows of the verdict table that need more than one task: bad bodies, hooks, stopping, stores that are away."""

import uuid
from typing import Any

import anyio
import pytest
from support.watched import WatchedBroker

from taskiq_core import (
    TaskiqMessage,
    TaskiqMiddleware,
    Verdict,
    Worker,
    WorkerSettings,
)
from taskiq_core.message import BrokerMessage

pytestmark = pytest.mark.anyio


async def returns() -> int:
    return 7


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
