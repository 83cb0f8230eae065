"""What a call of `cancel` does and says, beside cancelling."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from taskiq_core import (
    InMemoryBroker,
    InMemoryResultBackend,
    StoredResult,
    TaskCancelled,
    TaskCancelledError,
    TaskStatus,
)
from taskiq_core.records import Transition

pytestmark = pytest.mark.anyio


class Backend(InMemoryResultBackend[Any]):
    def __init__(self) -> None:
        super().__init__()
        self.stored: list[StoredResult] = []

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        self.stored.extend(results)
        await super().set_results(results)


async def test_results_are_kept_as_the_task_says() -> None:
    backend = Backend()
    broker = InMemoryBroker(backend).with_records(backend)

    @broker.task(result_ttl=77)
    async def brief() -> None: ...

    @broker.task(store_result=False)
    async def silent() -> None: ...

    async with broker:
        assert broker.admin is not None
        await broker.admin.pause("default")
        handles = [await brief.kiq(), await brief.kiq(), await brief.kiq(), await silent.kiq()]
        ids = [handle.task_id for handle in handles]
        await backend.record([Transition(ids[2], TaskStatus.PENDING, 1.0, brief.task_name)])
        assert await handles[0].cancel() == "removed"
        assert await broker.handle(ids[1], brief).cancel() == "removed"
        assert await broker.handle(ids[2]).cancel() == "removed"  # whose it was is in its record
        assert await broker.tasks.cancel(ids[3], task_name=silent.task_name) == {ids[3]: "removed"}
        assert [(item.task_id, item.ttl) for item in backend.stored] == [(task_id, 77) for task_id in ids[:3]]
        records = await backend.get_records(ids)
    assert [(records[task_id].status, records[task_id].task_name) for task_id in ids] == [
        (TaskStatus.CANCELLED, name) for name in [brief.task_name] * 3 + [silent.task_name]
    ]


async def test_an_id_that_has_a_result_and_runs_again() -> None:
    broker = InMemoryBroker()
    started, ended = anyio.Event(), anyio.Event()

    @broker.task
    async def work(runs: bool) -> str:
        if runs:
            started.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()
        return "old"

    async with broker:
        first = await work.kicker().with_task_id("import-42").kiq(False)
        assert await first == "old"
        again = await work.kicker().with_task_id("import-42").kiq(True)
        await started.wait()
        assert await again.cancel("user") == "finished"
        with anyio.fail_after(10):
            await ended.wait()
            await broker.wait_all()
        assert isinstance((await again.get_result()).error, TaskCancelledError)


async def test_listeners_hear_of_both_kinds() -> None:
    broker = InMemoryBroker()
    started, heard = anyio.Event(), dict[str, TaskCancelled]()

    @broker.on(TaskCancelled)
    def hear(event: TaskCancelled) -> None:
        heard[event.task_id] = event

    @broker.task
    async def work() -> None:
        started.set()
        await anyio.sleep_forever()

    async with broker:
        running = await work.kiq()
        await started.wait()
        waiting = await work.kicker().with_delay(3600).kiq()
        assert await broker.tasks.cancel([running.task_id, waiting.task_id], reason="user") == {
            running.task_id: "requested",
            waiting.task_id: "removed",
        }
        with anyio.fail_after(10):
            while len(heard) < 2:
                await anyio.sleep(0.01)
    assert [heard[handle.task_id].attempt for handle in (running, waiting)] == [1, 0]
    assert {event.reason for event in heard.values()} == {"TaskCancelledError: The task was cancelled: user"}


async def test_what_is_no_id_is_refused_before_anything_is_cancelled() -> None:
    broker = InMemoryBroker()

    @broker.task
    async def work() -> None: ...

    async with broker:
        handle = await work.kicker().with_delay(3600).kiq()
        with pytest.raises(ValueError, match="task id"):
            await broker.tasks.cancel([handle.task_id, ""])
        assert await handle.cancel(b"caf\xe9".decode(errors="surrogateescape")) == "removed"
        with pytest.raises(TaskCancelledError, match=r"caf\\udce9"):
            await handle
