"""What limits do when the shared state fails for one message, or for all, and when threads do not end."""

import threading
from collections.abc import Sequence

import anyio
import pytest

from taskiq_core import Concurrency, Delivery, InMemoryBroker, Rate, Retry, TaskiqMessage, Worker, call, gather
from taskiq_core.abc.coordinator import Admission, AdmissionRequest, SlotLimit
from taskiq_core.exceptions import ArgumentError
from taskiq_core.limits import places as places_of
from taskiq_core.stores.memory_coordinator import MemoryCoordinator
from taskiq_core.worker.admission import Admission as Room
from taskiq_core.worker.held_slots import HeldSlots
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.task_limits import TaskLimits
from taskiq_core.worker.threads import Threads

pytestmark = pytest.mark.anyio


class Choosy(MemoryCoordinator):
    """Refuses batches in which there is an odd key, and can be away. Notes who asks and who leaves."""

    def __init__(self, refuses_admit: str = "none", refuses_leave: str = "none") -> None:
        super().__init__()
        self._refuses_admit, self._refuses_leave = refuses_admit, refuses_leave
        self.is_away = False
        self.failed = anyio.Event()
        self.admitted: list[list[str]] = []
        self.left: list[str] = []

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        self._reach()
        if any(place.key.endswith(self._refuses_admit) for item in requests for place in (*item.slots, *item.rates)):
            raise ValueError("an odd key")
        self.admitted.append([item.holder.partition(":")[0] for item in requests])
        return await super().admit(requests)

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        self._reach()
        if any(place.key.endswith(self._refuses_leave) for _, place in places):
            raise ValueError("an odd key")
        self.left += [holder for holder, _ in places if not holder.endswith("?")]
        return await super().leave(places)

    def _reach(self) -> None:
        if self.is_away:
            self.failed.set()
            raise ConnectionError("nobody there")


async def test_a_message_that_cannot_be_asked_for_fails_and_no_other() -> None:
    broker = InMemoryBroker(max_async_tasks=10).with_coordinator(Choosy(refuses_admit="odd"))

    @broker.task(limits=[Concurrency(2, key="{who}"), Rate(1000)])
    async def work(who: str) -> str:
        return who

    async with broker:
        names = ["odd" if number in {0, 7, 19} else f"{number}" for number in range(20)]
        results = await gather(*await work.kiq_many([call(name) for name in names]), timeout=20)
        alone = await (await work.kiq("odd")).wait_result(timeout=20)
    assert [result.return_value for result in results] == [None if name == "odd" else name for name in names]
    assert "an odd key" in str(alone.error)


async def test_a_key_that_raises_is_told_from_an_error_of_the_task() -> None:
    broker = InMemoryBroker()

    @broker.task("post", limits=Rate(5, key="{order.number}"))
    async def post(order: int) -> None: ...

    async with broker:
        error = (await (await post.kiq(1)).wait_result(timeout=20)).error
    assert isinstance(error, ArgumentError)
    assert "'post'" in str(error)
    assert "'{order.number}'" in str(error)
    assert isinstance(error.__cause__, AttributeError)


async def test_what_cannot_be_given_up_keeps_no_other_slot() -> None:
    broker = InMemoryBroker(max_async_tasks=10).with_coordinator(Choosy(refuses_leave="odd"))

    @broker.task(limits=Concurrency(1, key="{who}"))
    async def work(who: str) -> str:
        return who

    async with broker:
        names = ["odd", *("even" for _ in range(20))]
        results = await gather(*await work.kiq_many([call(name) for name in names]), timeout=20)
    assert [result.return_value for result in results] == names


async def test_what_runs_is_renewed_before_others_are_asked_for() -> None:
    shared = Choosy()
    broker = InMemoryBroker(lease=0.15).with_coordinator(shared)

    @broker.task("work", limits=Concurrency(1))
    async def work() -> None: ...

    async def failed(delivery: Delivery, message: TaskiqMessage, error: Exception) -> Outcome:
        raise error

    place = SlotLimit(places_of(work.options.limits[0], "work"), 1)
    limits = TaskLimits(work)
    async with broker, anyio.create_task_group() as rooms:
        slots = HeldSlots(broker, broker.subscribe(["default"]), Threads())  # which does not run: nobody renews but who asks
        admission = Room(broker, slots, failed, lambda: None)
        rooms.start_soon(admission.run)

        async def ask(task_id: str) -> Outcome | None:
            return await admission.ask(
                Delivery(b""), TaskiqMessage(task_id=task_id, task_name="work", labels={}, args=[], kwargs={}), limits
            )

        assert await ask("first") is None
        await _until_free(shared, place)
        second = await ask("second")
        assert second is not None
        assert second.park == place.key
        # After an outage so long that others have lost their slots too, they get the time to take them again.
        shared.is_away = True
        assert (await ask("third")) is not None
        await _until_free(shared, place)
        shared.is_away = False
        shared.admitted.clear()
        with anyio.fail_after(10):
            while ["?"] not in shared.admitted:
                assert (await ask("fourth")) is not None
                await anyio.sleep(0.01)
        assert shared.admitted == [["first"], ["?"]]
        rooms.cancel_scope.cancel()


async def _until_free(shared: Choosy, place: SlotLimit) -> None:
    with anyio.fail_after(10):
        while await MemoryCoordinator.leave(shared, [("?", place)]) != [1]:
            await anyio.sleep(0.01)


async def test_what_was_never_asked_for_is_not_given_up() -> None:
    shared = Choosy()
    broker = InMemoryBroker(max_async_tasks=2)
    broker.with_coordinator(shared)

    @broker.task(limits=Concurrency(50))
    async def work() -> None: ...

    async with broker:
        shared.is_away = True
        handles = await work.kiq_many([call() for _ in range(30)])
        with anyio.fail_after(10):
            while broker.queue.depth("default").delayed < 30:
                await broker.changed(1)
        shared.is_away = False
        await gather(*handles, timeout=30)
    # Each is given up when it ends. More than that can only be those that were in the calls that failed.
    assert 30 <= len(shared.left) < 50


async def test_a_thread_that_runs_on_keeps_its_slot() -> None:
    broker = InMemoryBroker()
    gate, lock = threading.Event(), threading.Lock()
    running, most = list[int](), list[int]()

    @broker.task(limits=Concurrency(1), timeout=0.05)
    def work(number: int) -> None:
        with lock:
            running.append(number)
            most.append(len(running))
        gate.wait(10)
        with lock:
            running.remove(number)

    async with broker:
        handles = await work.kiq_many([call(number) for number in range(3)])
        with anyio.fail_after(10):
            while not [one for one in [await handle.is_ready() for handle in handles] if one]:
                await anyio.sleep(0.01)
            while broker.queue.depth("default").delayed < 2:
                await broker.changed(1)
        assert most == [1]
        gate.set()
        await gather(*handles, timeout=20)
    assert most == [1, 1, 1]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_a_key_that_asks_to_exit_fails_its_task_and_no_more(error: BaseException) -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True
    calls = list[int]()

    def key(n: int) -> str:
        calls.append(n)
        raise error

    @broker.task(limits=Concurrency(1, key=key), retry=Retry(1, on=(BaseException,)))
    async def work(n: int) -> None: ...

    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker)
        group.start_soon(worker.serve)
        result = await (await work.kiq(1)).wait_result(timeout=10)
        assert type(result.error) is type(error)
        worker.stop()
    assert calls == [1, 1]
