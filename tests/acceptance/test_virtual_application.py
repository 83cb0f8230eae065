"""A whole application under test: whatever its broker is made for, all of its parts are at work."""

from typing import Any

import pytest

from taskiq_core import (
    Batch,
    Context,
    InMemoryBroker,
    Retry,
    TaskiqDepends,
    TaskiqEvents,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
    TaskiqState,
    Unique,
    async_shared_broker,
    broker_from_url,
)
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


class Notes(TaskiqMiddleware):
    """Writes down what it sees."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
        message.labels["stamped"] = True
        return message

    async def post_save(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        self.seen.append(f"saved {message.task_name}")


def database() -> str:
    raise AssertionError("replaced in tests")


@pytest.mark.parametrize("url", ["redis://no-such-host:1/0", "sqlite:////no/such/folder/jobs.db", "memory://"])
async def test_all_parts_work_as_in_production(url: str) -> None:
    seen: list[str] = []
    broker = broker_from_url(url).with_middlewares(Notes(seen)).with_retry(Retry(1, delay=60))
    broker.dependency_overrides[database] = lambda: "test database"

    @broker.on_event(TaskiqEvents.CLIENT_STARTUP, TaskiqEvents.WORKER_STARTUP, TaskiqEvents.WORKER_SHUTDOWN)
    async def note(state: TaskiqState) -> None:
        seen.append("event")

    @broker.task("ok")
    async def ok(task_id: str, result: str) -> None:
        seen.append(f"ok {result}")

    @broker.task("job", on_success=ok, unique=Unique("{name}"))
    async def job(name: str, db: str = TaskiqDepends(database), ctx: Context = TaskiqDepends()) -> str:
        if ctx.attempt == 1:
            raise ConnectionError
        return f"{name} in {db}, {ctx.message.labels['stamped']}"

    @broker.task("gather", batch=Batch(3, within=10))
    async def gather(numbers: list[int]) -> None:
        seen.append(f"batch {numbers}")

    async with taskiq_test(broker) as t:
        assert seen == ["event", "event"]
        seen.clear()
        first, second = await job.kiq("ada"), await job.kiq("ada")
        assert (second.task_id, second.outcome) == (first.task_id, "duplicate")
        assert await first == "ada in test database, True"
        await t.run()
        assert (t.now - t.start).total_seconds() == 60
        assert "ok ada in test database, True" in seen
        assert t.sent(ok, task_id=first.task_id).where(stamped=True)
        for number in range(4):
            await gather.kiq(number)  # type: ignore[arg-type]
        await t.drain()
        assert [text for text in seen if text.startswith("batch")] == ["batch [0, 1, 2]", "batch [3]"]
        assert (t.now - t.start).total_seconds() == 70
        assert await first.result_backend.is_result_ready(first.task_id)
    assert seen[-1] == "event"


async def test_shared_tasks_and_two_brokers() -> None:
    broker, other = broker_from_url("redis://no-such-host:1/0"), broker_from_url("redis://no-such-host:2/0")

    @async_shared_broker.task("shared")
    async def shared(number: int) -> int:
        return 2 * number

    @other.task("other", delay=60)
    async def relay(number: int) -> int:
        return await (await shared.kiq(number))

    async_shared_broker.default_broker(broker)
    try:
        async with taskiq_test(broker) as t, taskiq_test(other) as t_other:
            assert await (await shared.kiq(1)) == 2
            assert await (await relay.kiq(2)) == 4
            assert (len(t.sent(shared)), len(t_other.sent(relay)), len(t_other.sent(shared))) == (2, 1, 0)
            assert t.now == t_other.now
        assert async_shared_broker.result_backend is broker.result_backend
    finally:
        async_shared_broker.default_broker(InMemoryBroker())
