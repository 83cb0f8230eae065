"""A worker is stopped while an early acknowledgement is on its way, or waits to go."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from taskiq_core import (
    AcknowledgeType,
    InMemoryBroker,
    Settlement,
    Subscription,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    Verdict,
    Worker,
)

pytestmark = pytest.mark.anyio


class SlowToSettle(InMemoryBroker):
    """The first settle waits at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.is_worker_process = True
        self.at_gate, self.gate = anyio.Event(), anyio.Event()
        self.verdicts: list[Verdict] = []

    def subscribe(self, *args: Any, **kwargs: Any) -> Subscription:
        """One whose settle is slow."""
        subscription = super().subscribe(*args, **kwargs)
        settle = subscription.settle

        async def slow(settlements: Sequence[Settlement]) -> None:
            self.verdicts += [settlement.verdict for settlement in settlements]
            self.at_gate.set()
            await self.gate.wait()
            await settle(settlements)

        subscription.settle = slow  # type: ignore[method-assign]
        return subscription


class LastHook(TaskiqMiddleware):
    """It has something to wait for."""

    async def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        await anyio.sleep_forever()


@pytest.mark.parametrize("hooks", [(), (LastHook(),)], ids=["plain", "with a hook"])
async def test_what_the_broker_lets_go_of_keeps_its_result(hooks: Sequence[TaskiqMiddleware]) -> None:
    broker = SlowToSettle().with_middlewares(*hooks)

    @broker.task(ack_type=AcknowledgeType.WHEN_EXECUTED)
    async def work() -> int:
        return 42

    async with broker:
        handle = await work.kiq()
        async with anyio.create_task_group() as group:
            worker = Worker(broker, grace=0)
            group.start_soon(worker.serve)
            with anyio.fail_after(10):
                await broker.at_gate.wait()
            worker.stop(now=True)
            await anyio.wait_all_tasks_blocked()
            broker.gate.set()
        assert (await handle.wait_result(timeout=10)).return_value == 42
    assert broker.verdicts == [Verdict.ACK]


async def test_what_is_not_on_its_way_is_taken_back() -> None:
    broker, ran = SlowToSettle(), list[str]()

    @broker.task(ack_type=AcknowledgeType.WHEN_EXECUTED)
    async def work(name: str) -> None:
        if name == "second":
            await broker.at_gate.wait()
        ran.append(name)

    async with broker:
        await work.kiq("first")
        second = await work.kiq("second")
        async with anyio.create_task_group() as group:
            worker = Worker(broker, concurrency=2, grace=0)
            group.start_soon(worker.serve)
            with anyio.fail_after(10):
                while len(ran) < 2:
                    await anyio.sleep(0.01)
            await anyio.wait_all_tasks_blocked()
            worker.stop(now=True)
            await anyio.wait_all_tasks_blocked()
            broker.gate.set()
        await Worker(broker, burst=True).serve()
        assert not (await second.wait_result(timeout=10)).is_err
    assert ran == ["first", "second", "second"]
