"""Settings of a send, sending in bulk and from synchronous code, and what is refused."""

import threading
from datetime import timedelta
from typing import Any

import anyio
import anyio.to_thread
import pytest

from taskiq_core import (
    Context,
    InMemoryBroker,
    InMemoryResultBackend,
    SendTaskError,
    TaskiqDepends,
    call,
    gather,
)
from taskiq_core.exceptions import (
    MessageTooLargeError,
)
from taskiq_core.testing import taskiq_test

pytestmark = pytest.mark.anyio


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


async def test_kiq_many_sends_all_in_one_go(broker: InMemoryBroker) -> None:
    @broker.task
    async def double(n: int) -> int:
        return 2 * n

    async with broker:
        handles = await double.kiq_many([call(1), call(n=2)])
        assert [await handle for handle in handles] == [2, 4]
        assert await double.kiq_many([]) == []


async def test_kicker_settings_travel_and_do_not_leak(broker: InMemoryBroker) -> None:
    @broker.task(team="billing", queue="vip", priority=3)
    async def look(ctx: Context = TaskiqDepends()) -> dict[str, Any]:
        return ctx.message.labels

    async with broker:
        handle = await look.kicker().with_labels(extra=[1, None]).with_priority(9).with_task_id("mine").kiq()
        assert handle.task_id == "mine"
        assert await handle == {"team": "billing", "queue_name": "vip", "priority": 9, "extra": [1, None]}
        assert (await handle.wait_result()).labels["team"] == "billing"
        assert await (await look.kiq()) == {"team": "billing", "queue_name": "vip", "priority": 3}
        with pytest.raises(ValueError, match="0 to 9"):
            look.kicker().with_priority(10)


async def test_delay_and_eta_hold_a_task_back(broker: InMemoryBroker) -> None:
    @broker.task
    async def passed() -> timedelta:
        return t.now - t.start

    hour = timedelta(hours=1)
    async with taskiq_test(broker) as t:
        later = await passed.kicker().with_delay(hour).kiq()
        eta = await passed.kicker().with_eta(t.now + 2 * hour).kiq()
        at_once = await passed.kiq()
        results = await gather(later, eta, at_once, timeout=7201)
    assert [result.return_value for result in results] == [hour, 2 * hour, timedelta(0)]


async def test_higher_priority_runs_first() -> None:
    broker = InMemoryBroker(max_async_tasks=1)
    order: list[int] = []
    gate, blocked = anyio.Event(), anyio.Event()

    @broker.task
    async def block() -> None:
        blocked.set()
        await gate.wait()

    @broker.task
    async def note(n: int) -> None:
        order.append(n)

    async with broker:
        await block.kiq()
        await blocked.wait()
        handles = [await note.kicker().with_priority(n).kiq(n) for n in (1, 9, 5)]
        gate.set()
        await gather(*handles, timeout=5)
    assert order == [9, 5, 1]


async def test_synchronous_code_sends_from_a_thread_beside_a_running_loop(broker: InMemoryBroker) -> None:
    @broker.task
    async def double(n: int) -> int:
        return 2 * n

    @broker.task
    def sends_from_a_thread_task(n: int) -> str:
        return double.kiq_sync(n).task_id

    async with broker:
        handle = await anyio.to_thread.run_sync(double.kiq_sync, 4)
        assert await handle == 8
        assert await broker.handle(await (await sends_from_a_thread_task.kiq(5))) == 10
        with pytest.raises(RuntimeError, match=r"await task\.kiq"):
            double.kiq_sync(1)


async def test_synchronous_code_sends_with_settings_of_its_own(broker: InMemoryBroker) -> None:
    @broker.task
    async def double(n: int) -> int:
        return 2 * n

    async with broker:
        kicker = double.kicker().with_queue("default").with_priority(3).with_delay(0).with_task_id("mine")
        handle = await anyio.to_thread.run_sync(kicker.kiq_sync, 4)
        assert (handle.task_id, await handle) == ("mine", 8)
        with pytest.raises(RuntimeError, match=r"await task\.kiq"):
            double.kicker().kiq_sync(1)


def test_synchronous_code_sends_without_any_loop(tmp_path: Any) -> None:
    broker = InMemoryBroker()
    done = threading.Event()

    @broker.task
    async def note() -> None:
        done.set()

    assert note.kiq_sync().task_id
    assert done.wait(10)


async def test_what_cannot_be_sent_is_refused_with_the_reason(broker: InMemoryBroker) -> None:
    @broker.task
    async def work(value: Any) -> None: ...

    broker.max_message_size = 1000
    async with broker:
        with pytest.raises(MessageTooLargeError, match=r"bytes and the limit is 1000"):
            await work.kiq("x" * 2000)
        with pytest.raises(SendTaskError, match="cannot be serialised") as caught:
            await work.kiq(object())
        assert caught.value.outcome == "refused"
        with pytest.raises(SendTaskError, match="not registered"):
            await broker.kicker("nobody:knows").kiq()


async def test_a_backend_that_fails_for_a_moment_does_not_end_a_wait() -> None:
    class Flaky(InMemoryResultBackend):
        failures = 2

        async def wait_results(self, task_ids: Any, timeout: float | None = None) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("a blip")
            return await super().wait_results(task_ids, timeout)

    broker = InMemoryBroker(Flaky())

    @broker.task
    async def work() -> int:
        return 1

    async with broker:
        assert (await (await work.kiq()).wait_result(timeout=10)).return_value == 1
