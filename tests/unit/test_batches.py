"""Tasks that take batches: how messages are gathered, and that each has its own verdict."""

from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from taskiq_core import (
    Batch,
    Context,
    InMemoryBroker,
    Retry,
    TaskFailed,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqState,
    TaskStarted,
    Worker,
    call,
    gather,
)
from taskiq_core.exceptions import ArgumentError, ConfigurationError

pytestmark = pytest.mark.anyio


class Doc(BaseModel):
    title: str


async def until_held(broker: InMemoryBroker, count: int) -> None:
    with anyio.fail_after(10):
        while broker.queue.depth("default").leased < count:
            await anyio.sleep(0.001)


async def test_messages_come_as_lists_of_what_the_annotation_says() -> None:
    broker, seen = InMemoryBroker(max_async_tasks=2), list[list[Doc]]()

    @broker.task(batch=Batch(10, within=60))
    async def index(docs: list[Doc]) -> None:
        seen.append(docs)

    async with broker:
        handles = await index.kiq_many([call(Doc(title=str(n))) for n in range(30)])
        results = await gather(*handles, timeout=10)
    assert [len(docs) for docs in seen] == [10, 10, 10]
    assert [doc.title for docs in seen for doc in docs] == [str(n) for n in range(30)]
    assert [result.return_value for result in results] == [None] * 30


async def test_a_batch_that_does_not_fill_runs_when_its_time_is_over() -> None:
    broker, seen = InMemoryBroker(), list[int]()

    @broker.task(batch=Batch(1000, within=0.05))
    def count(numbers: list[int]) -> list[int]:
        seen.append(len(numbers))
        return [number * 2 for number in numbers]

    async with broker:
        handles = await count.kiq_many([call(n) for n in range(7)])
        assert [await handle for handle in handles] == [n * 2 for n in range(7)]
    assert seen == [7]


async def test_each_message_has_its_own_verdict() -> None:
    broker, batches = InMemoryBroker(), list[list[int]]()

    @broker.task(batch=Batch(4, within=0.05), retry=Retry(1))
    async def halve(numbers: list[int]) -> list[float | Exception]:
        batches.append(numbers)
        return [ValueError(f"odd: {n}") if n % 2 else n / 2 for n in numbers]

    async with broker:
        handles = await halve.kiq_many([call(n) for n in (2, 3, 4)])
        wrong = await broker.kicker(halve.task_name).kiq("no number")
        good, odd, other = [await handle.wait_result(timeout=10) for handle in handles]
        unfit = await wrong.wait_result(timeout=10)
    assert [good.return_value, other.return_value] == [1.0, 2.0]
    assert str(odd.error) == "odd: 3"
    assert isinstance(unfit.error, ArgumentError)
    assert batches == [[2, 3, 4], [3]]


async def test_an_error_of_the_function_is_that_of_all_and_so_is_a_list_that_does_not_fit() -> None:
    broker = InMemoryBroker()

    @broker.task(batch=Batch(3, within=60))
    async def act(texts: list[str]) -> Any:
        if "short" in texts:
            return ["one"]
        raise OSError(texts[0])

    async with broker:
        broken = await gather(*await act.kiq_many([call("a"), call("b"), call("c")]), timeout=10)
        short = await gather(*await act.kiq_many([call("short"), call("b"), call("c")]), timeout=10)
    assert [str(result.error) for result in broken] == ["a"] * 3
    assert all(result.traceback and result.traceback.count("raise OSError") == 1 for result in broken)
    assert all(isinstance(result.error, TaskFailed) and "got 3 messages" in str(result.error) for result in short)


async def test_hooks_events_and_callbacks_are_for_each_message() -> None:
    class Watch(TaskiqMiddleware):
        def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
            steps.append("pre")
            if message.args == ["bad"]:
                raise PermissionError
            return message

        async def around_execute(self, call_next: Any, message: TaskiqMessage) -> Any:
            return await call_next(message) + "!"

        def post_save(self, message: TaskiqMessage, result: Any) -> None:
            steps.append("saved")

    steps, told = list[str](), list[str]()
    broker = InMemoryBroker().with_middlewares(Watch())

    @broker.on(TaskStarted)
    def listen(event: TaskStarted) -> None:
        steps.append("event")

    @broker.task
    async def tell(result: str) -> str:
        told.append(result)
        return ""

    @broker.task(batch=3, on_success=tell)
    async def act(texts: list[str]) -> list[str]:
        return texts

    async with broker:
        await act.kiq_many([call("a"), call("bad"), call("b")])
        await broker.wait_all()
    assert sorted(told) == ["a!", "b!"]
    assert [steps.count(step) for step in ("pre", "event", "saved")] == [5, 5, 5]


async def test_one_slot_serves_batches_and_other_tasks_while_a_batch_gathers() -> None:
    broker = InMemoryBroker(max_async_tasks=1)

    @broker.task(batch=Batch(3, within=60))
    async def act(numbers: list[int]) -> list[int]:
        return numbers

    @broker.task
    async def other() -> str:
        return "done"

    async with broker:
        first = [await act.kiq(1), await act.kiq(2)]
        assert await (await other.kiq()) == "done"
        assert [await handle for handle in (*first, await act.kiq(3))] == [1, 2, 3]


async def test_what_is_gathered_is_given_back_when_the_worker_stops() -> None:
    broker, seen = InMemoryBroker(), list[int]()

    @broker.task(batch=Batch(10, within=60))
    async def act(numbers: list[int]) -> None:
        seen.extend(numbers)

    async with broker:
        await act.kiq_many([call(1), call(2)])
        await until_held(broker, 2)
    depth = broker.queue.depth("default")
    assert (depth.ready, depth.leased) == (2, 0)
    assert seen == []


async def test_a_timeout_is_for_the_run_of_a_batch() -> None:
    broker, ended = InMemoryBroker(), list[str]()

    @broker.task(batch=2, timeout=0.05)
    async def hang(numbers: list[int]) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with broker:
        results = await gather(*await hang.kiq_many([call(1), call(2)]), timeout=10)
    assert [type(result.error) for result in results] == [TimeoutError, TimeoutError]
    assert ended == ["cancelled"]


async def test_the_time_of_one_message_is_over_and_its_batch_goes_on() -> None:
    broker, go_on = InMemoryBroker(), anyio.Event()

    @broker.task(batch=Batch(2, within=60))
    async def act(numbers: list[int]) -> list[int]:
        await go_on.wait()
        return numbers

    async with broker:
        hasty = await act.kicker().with_timeout(0.05).kiq(1)
        patient = await act.kiq(2)
        assert isinstance((await hasty.wait_result(timeout=10)).error, TimeoutError)
        go_on.set()
        assert await patient == 2


async def test_a_batch_that_runs_past_the_grace_is_given_back() -> None:
    broker, started, ended = InMemoryBroker(), anyio.Event(), list[str]()
    broker.is_worker_process = True

    @broker.task(batch=3)
    async def hang(numbers: list[int]) -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with broker:
        await hang.kiq_many([call(n) for n in range(3)])
        async with anyio.create_task_group() as group:
            worker = Worker(broker)
            group.start_soon(worker.serve)
            await started.wait()
            worker.stop(now=True)
    depth = broker.queue.depth("default")
    assert (depth.ready, depth.leased, ended) == (3, 0, ["cancelled"])


@pytest.mark.parametrize("running", [False, True], ids=["gathered", "running"])
async def test_one_message_is_cancelled_and_its_batch_goes_on(running: bool) -> None:
    broker, seen, started, go_on = InMemoryBroker(), list[int](), anyio.Event(), anyio.Event()

    @broker.task(batch=Batch(3, within=60))
    async def act(numbers: list[int]) -> list[int]:
        started.set()
        await go_on.wait()
        seen.extend(numbers)
        return numbers

    async with broker:
        handles = await act.kiq_many([call(1), call(2)])
        if running:
            handles.append(await act.kiq(3))
            await started.wait()
        else:
            go_on.set()
            await until_held(broker, 2)
        await handles[0].cancel(reason="not needed")
        result = await handles[0].wait_result(timeout=10)
        assert "not needed" in str(result.error)
        go_on.set()
        if not running:
            handles += await act.kiq_many([call(3), call(4)])
        assert [await handle for handle in handles[1:]] == ([2, 3] if running else [2, 3, 4])
    assert seen == ([1, 2, 3] if running else [2, 3, 4])


async def test_dependencies_are_made_once_for_a_batch_and_those_of_a_message_are_refused() -> None:
    broker, made = InMemoryBroker(), list[str]()

    async def connect(state: TaskiqState = TaskiqDepends()) -> str:
        made.append("connection")
        return "connection"

    @broker.task(batch=3)
    async def act(numbers: list[int], connection: str = TaskiqDepends(connect)) -> list[str]:
        return [connection] * len(numbers)

    async with broker:
        assert [await handle for handle in await act.kiq_many([call(n) for n in range(3)])] == ["connection"] * 3
    assert made == ["connection"]

    @broker.task(batch=3)
    async def wrong(numbers: list[int], ctx: Context = TaskiqDepends()) -> None: ...

    with pytest.raises(ConfigurationError, match="asks for the Context"):
        await broker.startup()


def test_what_batches_cannot_do_is_refused() -> None:
    broker = InMemoryBroker()
    with pytest.raises(ConfigurationError, match="executor='process'"):
        broker.task(batch=3, executor="process")(_takes_list)
    with pytest.raises(ConfigurationError, match="ack_type='manual'"):
        broker.task(batch=3, ack_type="manual")(_takes_list)
    with pytest.raises(ConfigurationError, match="one parameter that is a list"):
        broker.task(batch=3)(_takes_number)  # type: ignore[arg-type]


def _takes_list(numbers: list[int]) -> None: ...


def _takes_number(number: int) -> None: ...
