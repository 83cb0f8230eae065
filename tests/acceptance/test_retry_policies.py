"""Which policy holds, what a retry keeps, and what is none."""

import logging

import anyio
import pytest

from taskiq_core import Context, InMemoryBroker, Retry, TaskiqDepends, Worker

pytestmark = pytest.mark.anyio

DEADLINE = 10


async def fail(ctx: Context = TaskiqDepends()) -> None:
    raise OSError(ctx.attempt)


@pytest.mark.parametrize(
    ("options", "runs"),
    [({}, 3), ({"retry": 0}, 1), ({"retry": 1}, 2), ({"retry": Retry(5, on=(ValueError,))}, 1), ({"retry": None}, 3)],
    ids=str,
)
async def test_the_brokers_policy_holds_for_tasks_that_say_nothing(options: dict[str, object], runs: int) -> None:
    broker = InMemoryBroker().with_retry(2)
    task = broker.register_task(fail, "fail", **options)
    async with broker:
        result = await (await task.kiq()).wait_result(timeout=DEADLINE)
    assert str(result.error) == str(runs)


async def test_the_brokers_policy_may_say_more() -> None:
    broker = InMemoryBroker().with_retry(Retry(3, never=(OSError,)))
    task = broker.register_task(fail, "fail")
    async with broker:
        result = await (await task.kiq()).wait_result(timeout=DEADLINE)
    assert str(result.error) == "1"


async def test_a_retry_keeps_id_and_trace_and_knows_its_last_error(caplog: pytest.LogCaptureFixture) -> None:
    broker = InMemoryBroker()
    seen: list[tuple[str, str, int, str | None]] = []

    @broker.task("fail", retry=1)
    async def task(ctx: Context = TaskiqDepends()) -> None:
        seen.append((ctx.task_id, ctx.message.labels["traceparent"], ctx.attempt, ctx.last_error))
        raise OSError(ctx.attempt)

    caplog.set_level(logging.WARNING, "taskiq.worker")
    async with broker:
        handle = await task.kicker().with_labels(traceparent="00-ab-cd-01").kiq()
        await handle.wait_result(timeout=DEADLINE)
    trace = (handle.task_id, "00-ab-cd-01")
    assert seen == [(*trace, 1, None), (*trace, 2, "OSError: 1")]
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"Task fail ({handle.task_id}) failed and is retried in 0 s (retry 1): OSError: 1",
        f"Task fail ({handle.task_id}) failed in run 2: OSError: 2",
    ]


async def test_a_worker_that_is_stopped_burns_no_retry() -> None:
    broker, started = InMemoryBroker(), anyio.Event()
    attempts: list[int] = []

    @broker.task(retry=1)
    async def task(ctx: Context = TaskiqDepends()) -> str:
        attempts.append(ctx.attempt)
        if len(attempts) < 4:
            started.set()
            await anyio.sleep_forever()
        return "done"

    handle = await task.kiq()
    for _ in range(3):
        worker = Worker(broker, grace=0)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.serve)
            await started.wait()
            started = anyio.Event()
            worker.stop()
    await Worker(broker, burst=True).serve()
    assert await handle == "done"
    assert attempts == [1, 1, 1, 1]
