"""The in-memory broker beyond the contract: waiting in place, dead letters, leases."""

from collections.abc import Iterator

import anyio
import pytest

from taskiq_core import Concurrency, Context, InMemoryBroker, TaskiqDepends, call
from taskiq_core import clock as core_clock
from taskiq_core.brokers.memory_queue import MemoryQueue
from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.message import BrokerMessage

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with core_clock.replaced(clock, clock):
        yield clock


def queue_of(*ids: str) -> MemoryQueue:
    queue = MemoryQueue()
    queue.add(BrokerMessage(task_id, "a.task", task_id.encode()) for task_id in ids)
    return queue


async def test_a_task_that_sends_waits_in_place_for_what_it_sends() -> None:
    broker = InMemoryBroker(await_inplace=True)
    ended: list[str] = []

    @broker.task
    async def leaf(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        ended.append(f"leaf {number}")

    @broker.task
    async def branch() -> None:
        await leaf.kiq(1)
        async with anyio.create_task_group() as group:
            for number in (2, 3):
                group.start_soon(leaf.kiq, number)
        ended.append("branch")

    async with broker:
        with anyio.fail_after(10):
            await branch.kiq()
    assert (ended[0], sorted(ended[1:3]), ended[3:]) == ("leaf 1", ["leaf 2", "leaf 3"], ["branch"])


async def test_in_place_others_are_not_waited_for() -> None:
    broker = InMemoryBroker(await_inplace=True)
    running, may_end = anyio.Event(), anyio.Event()

    @broker.task
    async def long() -> None:
        running.set()
        await may_end.wait()

    @broker.task
    async def short() -> None: ...

    async with broker, anyio.create_task_group() as group:
        group.start_soon(long.kiq)
        with anyio.fail_after(10):
            await running.wait()
            await short.kiq()
            await short.kicker().with_delay(3600).kiq()
        may_end.set()


async def test_what_a_limit_holds_back_is_waited_for() -> None:
    broker = InMemoryBroker()
    ended: list[int] = []

    @broker.task(limits=Concurrency(1))
    async def one_by_one(number: int) -> None:
        await anyio.lowlevel.checkpoint()
        ended.append(number)

    async with broker:
        await one_by_one.kiq_many([call(number) for number in range(10)])
        with anyio.fail_after(10):
            await broker.wait_all()
    assert sorted(ended) == list(range(10))


async def test_dead_letters_rise_with_their_id_and_priority() -> None:
    broker = InMemoryBroker()
    seen: list[tuple[str, int]] = []

    @broker.task
    async def picky(accept: bool, ctx: Context = TaskiqDepends()) -> None:
        if not accept and not seen:
            seen.append((ctx.message.task_id, 0))
            ctx.reject("not now")
        seen.append((ctx.message.task_id, 1))

    async with broker:
        handle = await picky.kicker().with_priority(9).kiq(False)
        with anyio.fail_after(10):
            await broker.wait_all()
            assert broker.admin is not None
            (letter,) = await broker.admin.dead_letters()
            assert broker.queue.dead.find([letter.id])[0].priority == 9
            assert await broker.admin.requeue_dead([letter.id]) == 1
            await broker.wait_all()
    assert seen == [(handle.task_id, 0), (handle.task_id, 1)]


def test_a_risen_message_goes_before_others_of_lower_priority() -> None:
    queue = MemoryQueue()
    queue.add([BrokerMessage("urgent", "a.task", b"urgent", priority=9)])
    (urgent,) = queue.take(["default"], 1, "me", 30)
    queue.settle([Settlement(urgent, Verdict.REJECT)], "me")
    queue.add([BrokerMessage("plain", "a.task", b"plain", priority=5)])
    queue.revive([letter.id for letter in queue.dead.page(None, 10, None)], {})
    assert [item.body for item in queue.take(["default"], 2, "me", 30)] == [b"urgent", b"plain"]


def test_leases_end_exactly_though_they_are_looked_at_seldom(clock: Clock) -> None:
    queue = queue_of("a", "b", "c")
    first, second, third = (queue.take(["default"], 1, "me", lease)[0] for lease in (10, 20, 30))
    assert queue.next_event() == 10
    clock.now += 9
    assert queue.expire() == 0
    assert queue.extend([first], "me", 10) == []
    clock.now += 1
    assert (queue.expire(), queue.next_event()) == (0, 9)
    clock.now += 9
    assert queue.expire() == 1
    assert queue.extend([first, second, third], "me", 5) == [first]
    queue.settle([Settlement(second, Verdict.ACK), Settlement(third, Verdict.ACK)], "me")
    assert queue.next_event() is None
    (again,) = queue.take(["default"], 5, "you", 10)
    assert (again.body, again.deaths) == (b"a", 1)
    looks = 0
    while not queue.expire():
        looks += 1
        clock.now += queue.next_event() or 0
    assert (clock.now, looks <= 2) == (129, True)


def test_what_is_forgotten_comes_back_without_a_death(clock: Clock) -> None:
    queue = queue_of("a", "b")
    held = queue.take(["default"], 2, "me", 10)
    queue.forget(held[:1], "me")
    clock.now += 10
    assert queue.expire() == 2
    again = {item.body: item.deaths for item in queue.take(["default"], 2, "you", 10)}
    assert again == {b"a": 0, b"b": 1}
    clock.now += 10
    assert queue.expire() == 2
    assert {item.body: item.deaths for item in queue.take(["default"], 2, "you", 10)} == {b"a": 1, b"b": 2}


async def test_nobody_waits_for_a_paused_queue() -> None:
    broker = InMemoryBroker(await_inplace=True)
    ended: list[int] = []

    @broker.task
    async def work(number: int) -> None:
        ended.append(number)

    assert broker.admin is not None
    async with broker:
        with anyio.fail_after(10):
            await broker.admin.pause("default")
            await work.kiq(1)
            await broker.wait_all()
            assert ended == []
            await broker.admin.resume("default")
            await broker.wait_all()
            assert ended == [1]
            await work.kiq(2)
    assert ended == [1, 2]


def test_the_first_of_each_line_has_a_time_and_no_other(clock: Clock) -> None:
    queue = queue_of("a", "b", "c", "d")
    held = queue.take(["default"], 4, "me", 1000)
    parks = zip(held, ("one", "one", "one", "two"), (10, 20, 30, 40), strict=True)
    queue.settle([Settlement(item, Verdict.RELEASE, delay=delay, park=text) for item, text, delay in parks], "me")
    assert queue.next_event() == 10
    clock.now += 4
    queue.discard(["b"])
    assert queue.next_event() == 6
    queue.unpark({"one": 1})
    assert queue.next_event() == 30
    assert [item.body for item in queue.take(["default"], 5, "me", 1000)] == [b"a"]
    clock.now += 36
    assert [item.body for item in queue.take(["default"], 5, "me", 1000)] == [b"c", b"d"]
    assert (queue.next_event(), queue.depth("default").delayed) == (960, 0)


async def test_dead_letters_go_when_they_are_old(clock: Clock) -> None:
    broker = InMemoryBroker(dead_ttl=60)
    assert broker.admin is not None
    broker.queue.add([BrokerMessage("old", "a.task", b""), BrokerMessage("new", "a.task", b"")])
    for wait in (59, 2):
        (delivery,) = broker.queue.take(["default"], 1, "me", 1000)
        broker.queue.settle([Settlement(delivery, Verdict.REJECT)], "me")
        clock.now += wait
    assert [letter.task_id for letter in await broker.admin.dead_letters()] == ["new"]
    assert not await broker.admin.find_dead(["1"])
