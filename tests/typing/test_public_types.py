"""What a type checker makes of the public API; the same lines run as a test."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

import inspect
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, assert_type

import anyio.to_thread
import pytest

from taskiq_core import (
    AsyncBroker,
    AsyncTaskiqTask,
    Context,
    CreatedSchedule,
    Every,
    InMemoryBroker,
    Progress,
    Retry,
    ScheduledTask,
    ScheduleSource,
    TaskiqDepends,
    TaskiqEvents,
    TaskiqResult,
    TaskiqState,
    TaskProgress,
    TaskRouter,
    async_shared_broker,
    broker_from_url,
    call,
    gather,
)

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()
router = TaskRouter()


@broker.task
async def bare(number: int, *, text: str = "") -> str:
    return f"{number}{text}"


@broker.task
def bare_sync(number: int) -> float:
    return number / 2


@broker.task("named", retry=Retry(2), timeout=timedelta(seconds=5), priority=7, team="billing")
async def with_options(flag: bool) -> bytes:
    return b"yes" if flag else b"no"


@broker.task(schedule=[Every(60, args=({},))], cast_types="lenient")
def with_options_sync(counts: dict[str, int]) -> list[str]:
    return sorted(counts)


@router.task
async def routed(number: int) -> int:
    return number + 1


@async_shared_broker.task("typing:shared")
async def shared(number: int) -> int:
    return number + 2


@broker.task
async def injected(number: int, ctx: Context = TaskiqDepends(), progress: Progress = TaskiqDepends()) -> int:
    assert_type(await progress.set(number, total=10), None)
    return number * int(ctx.state.factor)


@broker.task
async def nothing() -> None:
    return None


def plain(number: int, text: str) -> str:
    return text * number


async def plain_async(number: int) -> complex:
    return complex(number)


registered = broker.register_task(plain, "plain", queue="default")
registered_async = broker.register_task(plain_async)
broker.include_router(router)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
def set_factor(state: TaskiqState) -> None:
    state.factor = 10


class Schedules(ScheduleSource):
    """In a list."""

    def __init__(self) -> None:
        self.kept: list[ScheduledTask] = []

    async def get_schedules(self) -> list[ScheduledTask]:
        return self.kept

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.kept.append(schedule)


@pytest.fixture
async def started() -> AsyncIterator[InMemoryBroker]:
    async with broker as entered:
        assert_type(entered, InMemoryBroker)
        yield entered


@pytest.mark.usefixtures("started")
async def test_sending_and_waiting() -> None:
    handle = assert_type(await bare.kiq(1, text="x"), AsyncTaskiqTask[str])
    assert assert_type(await handle, str) == "1x"
    result = assert_type(await handle.wait_result(timeout=timedelta(seconds=5)), TaskiqResult[str])
    assert assert_type(result.return_value, str) == "1x"
    assert assert_type(result.raise_for_error(), TaskiqResult[str]) is result
    assert assert_type((await handle.get_result()).return_value, str) == "1x"
    assert assert_type(await handle.is_ready(), bool)
    assert assert_type(result.error, BaseException | None) is None


@pytest.mark.usefixtures("started")
async def test_every_way_of_defining() -> None:
    assert assert_type(await (await bare_sync.kiq(3)), float) == 1.5
    assert assert_type(await (await with_options.kiq(True)), bytes) == b"yes"
    assert assert_type(await (await with_options_sync.kiq({"b": 1, "a": 2})), list[str]) == ["a", "b"]
    assert assert_type(await (await routed.kiq(1)), int) == 2
    assert_type(await (await nothing.kiq()), None)
    assert assert_type(await (await registered.kiq(2, text="ab")), str) == "abab"
    assert assert_type(await (await registered_async.kiq(2)), complex) == 2 + 0j
    handle = await injected.kiq(3)
    assert assert_type(await handle, int) == 30
    assert assert_type(await handle.get_progress(), TaskProgress[Any] | None) is not None


async def test_shared_tasks(started: InMemoryBroker) -> None:
    assert assert_type(await (await shared.kicker().with_broker(started).kiq(1)), int) == 3


@pytest.mark.usefixtures("started")
async def test_kickers_and_batches() -> None:
    kicker = bare.kicker().with_queue("default").with_priority(3).with_timeout(5).with_labels(team="x").with_task_id("once")
    assert assert_type(await (await kicker.kiq(2, text="y")), str) == "2y"
    handles = assert_type(await bare.kiq_many([call(1), call(2, text="z")]), list[AsyncTaskiqTask[str]])
    results = assert_type(await gather(*handles, timeout=5), tuple[TaskiqResult[str], ...])
    assert [result.return_value for result in results] == ["1", "2z"]
    assert_type(await bare.kicker().kiq_many([]), list[AsyncTaskiqTask[str]])


@pytest.mark.usefixtures("started")
async def test_gathering_different_types() -> None:
    handle = await bare.kiq(1)
    one, two = await gather(handle, bare_sync.kiq(1), timeout=5)
    assert assert_type(one.return_value, str) + str(assert_type(two.return_value, float)) == "10.5"
    three = await gather(with_options.kiq(False), handle, routed.kiq(1), timeout=timedelta(seconds=5))
    assert_type(three, tuple[TaskiqResult[bytes], TaskiqResult[str], TaskiqResult[int]])
    assert [item.return_value for item in three] == [b"no", "1", 2]
    four = await gather(handle, handle, bare.kiq(1), handle, timeout=5)
    assert_type(four, tuple[TaskiqResult[str], ...])
    assert len(four) == 4


@pytest.mark.usefixtures("started")
async def test_from_a_thread() -> None:
    handle = await anyio.to_thread.run_sync(lambda: assert_type(bare_sync.kiq_sync(5), AsyncTaskiqTask[float]))
    assert assert_type(await handle, float) == 2.5
    kicker = bare_sync.kicker().with_queue("default")
    handle = await anyio.to_thread.run_sync(lambda: assert_type(kicker.kiq_sync(7), AsyncTaskiqTask[float]))
    assert assert_type(await handle, float) == 3.5


@pytest.mark.usefixtures("started")
async def test_schedules_keep_the_type() -> None:
    source = Schedules()
    schedule = assert_type(await bare.schedule_by_interval(source, 60, 4), CreatedSchedule[str])
    assert_type(await bare.kicker().schedule_by_cron(source, "@daily", 5, text="d"), CreatedSchedule[str])
    assert assert_type(await (await schedule.kiq()), str) == "4"
    assert [item.args for item in source.kept] == [[4], [5]]


async def test_without_the_code_of_the_task(started: InMemoryBroker) -> None:
    handle = assert_type(await started.kicker(bare.task_name).kiq(6), AsyncTaskiqTask[Any])
    assert assert_type(started.handle(handle.task_id), AsyncTaskiqTask[Any]).task_id == handle.task_id
    assert await handle == "6"


def test_brokers_from_urls() -> None:
    assert isinstance(assert_type(broker_from_url("memory://"), AsyncBroker), InMemoryBroker)


def test_a_task_keeps_the_signature_of_its_function() -> None:
    assert str(inspect.signature(bare)) == "(number: int, *, text: str = '') -> str"


async def wrong_calls() -> None:
    """Not run: each line is an error to a type checker, and an ignore that is not needed is one too."""
    await bare.kiq("1")  # pyright: ignore[reportArgumentType]
    await bare.kiq()  # pyright: ignore[reportCallIssue]
    await bare.kicker().kiq(1, txt="x")  # pyright: ignore[reportCallIssue]
    await registered.kiq(1)  # pyright: ignore[reportCallIssue]
    broker.task(retry="three")  # pyright: ignore[reportArgumentType]
    broker.task(executor="fibre")  # pyright: ignore[reportArgumentType]
