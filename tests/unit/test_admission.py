"""Asking for limits: in one call for many, past outages, and whatever was held is given up."""

import logging
import math
from collections.abc import Sequence

import anyio
import pytest

from taskiq_core import Capability, Concurrency, Delivery, InMemoryBroker, Rate, Subscription, Worker, call, gather
from taskiq_core.abc.coordinator import Admission, AdmissionRequest, SlotLimit
from taskiq_core.brokers.inmemory import MemorySubscription
from taskiq_core.limits import places
from taskiq_core.stores.memory_coordinator import MemoryCoordinator

pytestmark = pytest.mark.anyio


class Counting(MemoryCoordinator):
    """Counts calls, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.renewed = 0
        self.left = 0
        self.is_away = False
        self._known: set[str] = set()

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        self._reach()
        self.renewed += requests[0].holder in self._known
        self._known.update(item.holder for item in requests)
        self.asked.append(len(requests))
        await anyio.sleep(0.001)
        return await super().admit(requests)

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        self._reach()
        self.left += 1
        return await super().leave(places)

    def _reach(self) -> None:
        if self.is_away:
            raise ConnectionError("nobody there")


async def test_one_call_asks_for_a_whole_batch() -> None:
    class Broker(InMemoryBroker):
        def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            return Receiving(self, queues, self._lease)

    class Receiving(MemorySubscription):
        async def receive(self, limit: int) -> Sequence[Delivery]:
            batch = await super().receive(limit)
            received.append(len(batch))
            return batch

    received: list[int] = []
    shared = Counting()
    broker = Broker(max_async_tasks=50).with_coordinator(shared)

    @broker.task(limits=[Rate(10_000), Rate(20_000, name="all")])
    async def work() -> None:
        await anyio.sleep(0)

    @broker.task
    async def free() -> None:
        await anyio.sleep(0)

    async with broker:
        await gather(*await free.kiq_many([call() for _ in range(100)]), timeout=20)
        assert shared.asked == []
        received.clear()
        await gather(*await work.kiq_many([call() for _ in range(200)]), timeout=20)
    assert sum(shared.asked) == 200
    assert len(shared.asked) <= sum(math.ceil(count / 50) for count in received), (shared.asked, received)
    assert shared.left == 0


async def test_while_nobody_answers_limited_tasks_wait_and_others_run(caplog: pytest.LogCaptureFixture) -> None:
    shared, ran = Counting(), list[int]()
    broker = InMemoryBroker(max_async_tasks=2).with_coordinator(shared)

    @broker.task(limits=Concurrency(1))
    async def limited(number: int) -> None:
        ran.append(number)

    @broker.task
    async def free() -> str:
        return "ran"

    caplog.set_level(logging.INFO, "taskiq.worker")
    async with broker:
        shared.is_away = True
        handles = await limited.kiq_many([call(number) for number in range(30)])
        assert await (await free.kiq()) == "ran"
        with anyio.fail_after(10):
            while (await broker.admin.depth("default")).delayed < 30:
                await broker.changed(1)
        assert ran == []
        shared.is_away = False
        await gather(*handles, timeout=30)
    assert sorted(ran) == list(range(30))
    said = [record.getMessage() for record in caplog.records if "Limits can" in record.getMessage()]
    assert len(said) == 2
    assert (
        said[0] == "Limits cannot be asked for: tasks that have some are put off until they can: ConnectionError: nobody there"
    )
    assert said[1].startswith("Limits can be asked for again after ")


async def test_without_parking_they_are_tried_again() -> None:
    class Plain(InMemoryBroker):
        capabilities = InMemoryBroker.capabilities & ~Capability.PARK

    broker, running, most = Plain(), set[int](), list[int]()

    @broker.task(limits=Concurrency(1))
    async def work(number: int) -> None:
        running.add(number)
        most.append(len(running))
        await anyio.sleep(0.01)
        running.discard(number)

    async with broker:
        await gather(*await work.kiq_many([call(number) for number in range(3)]), timeout=30)
    assert most == [1, 1, 1]


async def test_slots_of_long_tasks_are_renewed_and_given_up_when_the_worker_stops() -> None:
    shared, started, over = Counting(), anyio.Event(), list[int]()
    broker = InMemoryBroker(lease=0.3).with_coordinator(shared)
    broker.is_worker_process = True

    @broker.task("long", limits=Concurrency(1, key="{number}"))
    async def long(number: int) -> None:
        started.set()
        await anyio.sleep_forever()

    place = SlotLimit(places(long.options.limits[0], "long") + "7", 1)
    worker = Worker(broker, queues=["default"], grace=0.1)
    async with broker, anyio.create_task_group() as both:
        both.start_soon(worker.serve)
        await long.kiq(7)
        await started.wait()
        with anyio.fail_after(10):
            while shared.renewed < 3:
                over += await shared.leave([("somebody", place)])
                await anyio.sleep(0.05)
        assert set(over) == {0}
        worker.stop()
    assert await shared.leave([("somebody", place)]) == [1]


async def test_what_waits_is_woken_though_its_slot_became_free_before_it_was_parked() -> None:
    shared = MemoryCoordinator()
    broker = InMemoryBroker().with_coordinator(shared)

    @broker.task("work", limits=Concurrency(1))
    async def work() -> str:
        return "ran"

    place = SlotLimit(places(work.options.limits[0], "work"), 1)
    full = anyio.Event()

    class Forgetful(MemoryCoordinator):
        """Somebody has the slot, and gives it up the moment after it was found full; nobody is told."""

        async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
            answers = await shared.admit(requests)
            await shared.leave([("somebody", place)])
            full.set()
            return answers

        async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
            return await shared.leave(places)

    broker.with_coordinator(Forgetful())
    async with broker:
        assert (await shared.admit([AdmissionRequest("somebody", 60, [place])]))[0].granted
        handle = await work.kiq()
        await full.wait()
        assert (await handle.wait_result(timeout=5)).return_value == "ran"
