"""Nothing that one outcome does on its way out holds up another."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from support.watched import WatchedBroker

from taskiq_core import (
    AsyncResultBackend,
    Context,
    InMemoryBroker,
    InMemoryResultBackend,
    ResultGetError,
    Settlement,
    Subscription,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskStatus,
    Verdict,
    Worker,
    call,
    gather,
)
from taskiq_core.brokers.inmemory import MemorySubscription

pytestmark = pytest.mark.anyio


async def test_a_verdict_that_the_broker_refuses_holds_up_no_other() -> None:
    class Stale(MemorySubscription):
        async def settle(self, settlements: Sequence[Settlement]) -> None:
            if any(item.delivery.attempt == 1 and b"stale" in item.delivery.body for item in settlements):
                raise RuntimeError("this receipt is of another connection")
            await super().settle(settlements)

    class Broker(InMemoryBroker):
        def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            return Stale(self, queues, self._lease)

    broker = Broker()

    @broker.task
    async def echo(value: str) -> str:
        return value

    async with broker:
        await echo.kiq("stale")
        handles = await echo.kiq_many([call(str(n)) for n in range(300)])
        results = await gather(*handles, timeout=10)
        assert [result.return_value for result in results] == [str(n) for n in range(300)]
        with anyio.fail_after(10):
            while (await broker.admin.depth("default")).leased > 1:
                await broker.changed(None)


class OneByOne(AsyncResultBackend[Any]):
    """A classic backend, which serialises by itself."""

    def __init__(self) -> None:
        self.results: dict[str, TaskiqResult[Any]] = {}

    async def set_result(self, task_id: str, result: TaskiqResult[Any]) -> None:
        if isinstance(result.return_value, bytes):
            raise TypeError("bytes have no JSON form")
        self.results[task_id] = result

    async def is_result_ready(self, task_id: str) -> bool:
        return task_id in self.results

    async def get_result(self, task_id: str, with_logs: bool = False) -> TaskiqResult[Any]:
        if task_id not in self.results:
            raise ResultGetError
        return self.results[task_id]


async def test_a_value_that_a_classic_backend_refuses_becomes_an_error_and_its_neighbours_run_once() -> None:
    broker = InMemoryBroker(OneByOne())
    runs: list[int] = []

    @broker.task
    async def work(n: int) -> Any:
        runs.append(n)
        return b"\xff" if n == 3 else n

    async with broker:
        handles = await work.kiq_many([call(n) for n in range(8)])
        results = await gather(*handles, timeout=20)
        await broker.wait_all()
    assert [result.return_value for result in results] == [0, 1, 2, None, 4, 5, 6, 7]
    assert type(results[3].error).__name__ == "ResultNotSerializableError"
    assert sorted(runs) == list(range(8))


async def test_a_retry_is_made_of_what_came_not_of_what_hooks_and_the_task_made_of_it() -> None:
    class Decrypts(TaskiqMiddleware):
        def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
            message.args = [["sealed", *message.args[0]]]
            return message

        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            seal, *rest = message.args[0]
            assert seal == "sealed"
            message.args = [rest]
            return message

    broker = InMemoryBroker()
    broker.add_middlewares(Decrypts())

    @broker.task(retry=2)
    async def grows(values: list[int], ctx: Context = TaskiqDepends()) -> list[int]:
        values.append(9)
        if ctx.attempt < 3:
            raise ValueError
        return values

    async with broker:
        assert await (await grows.kiq([1])) == [1, 9]


async def test_a_stop_that_the_task_turns_into_another_error_is_no_failure() -> None:
    broker = WatchedBroker()
    broker.is_worker_process = True
    started = anyio.Event()

    @broker.task
    async def translates() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        except BaseException:
            raise ConnectionError("interrupted") from None

    async with broker:
        handle = await translates.kiq()
        async with anyio.create_task_group() as group:
            worker = Worker(broker, grace=0.05)
            group.start_soon(worker.serve)
            await started.wait()
            worker.stop()
        assert [item.verdict for item in broker.settled] == [Verdict.RELEASE]
        assert not await handle.is_ready()


async def test_transitions_of_the_last_tasks_are_recorded_before_the_worker_ends() -> None:
    class Slow(InMemoryResultBackend):
        async def record(self, transitions: Any) -> None:
            await anyio.sleep(0.1)
            await super().record(transitions)

    backend = Slow()
    broker = InMemoryBroker(backend).with_records(backend)
    broker.is_worker_process = True

    @broker.task
    async def work() -> None: ...

    async with broker:
        await work.kiq_many([call()] * 20)
        await Worker(broker, burst=True).serve()
    assert await backend.count_by_status() == {TaskStatus.SUCCESS: 20}


async def test_messages_that_wait_behind_long_tasks_are_given_back() -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True
    gate = anyio.Event()

    @broker.task
    async def short() -> None: ...

    @broker.task
    async def long() -> None:
        await gate.wait()

    async with broker:
        await short.kiq_many([call()] * 2000)
        await long.kiq_many([call()] * 100)
        async with anyio.create_task_group() as group:
            worker = Worker(broker, concurrency=2)
            group.start_soon(worker.serve)
            with anyio.fail_after(10):
                while (await broker.admin.depth("default")).ready != 98:
                    await broker.changed(0.05)
            worker.stop(now=True)


async def test_a_slow_hook_after_saving_delays_only_its_own_batch_once() -> None:
    class Slow(TaskiqMiddleware):
        saved = 0

        async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            await anyio.sleep(0.05)
            Slow.saved += 1

    broker = InMemoryBroker()
    broker.add_middlewares(Slow())

    @broker.task
    async def work() -> None: ...

    with anyio.fail_after(5):  # one after the other they would take 10 s
        async with broker:
            await work.kiq_many([call()] * 200)
            await broker.wait_all()
    assert Slow.saved == 200


@pytest.mark.parametrize("ack_type", ["when_received", "when_executed", "when_saved", "manual"])
async def test_the_hook_after_saving_runs_once_whenever_the_message_is_acknowledged(ack_type: str) -> None:
    class Watch(TaskiqMiddleware):
        def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
            saved.append(message.task_id)

    saved: list[str] = []
    broker = InMemoryBroker()
    broker.add_middlewares(Watch())

    @broker.task(ack_type=ack_type)
    async def work(ctx: Context = TaskiqDepends()) -> None:
        if ack_type == "manual":
            await ctx.ack()

    async with broker:
        handle = await work.kiq()
        await handle
    assert saved == [handle.task_id]
