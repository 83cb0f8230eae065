"""Moving queues from one broker to another: what is kept, what is refused, and what is left after an error."""

import functools
from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest

from taskiq_core import BrokerMessage, Capability, InMemoryBroker
from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.exceptions import BrokerError, ConfigurationError, MessageRefusedError, SendTaskError
from taskiq_core.migration import Migration, Moved
from taskiq_core.outbox import Outbox
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio

BOTH = frozenset({"default"})


@pytest.fixture(autouse=True)
async def time() -> AsyncGenerator[None]:
    """The second that a pause may take to reach every worker is none."""
    with virtual_time():
        yield


class Shelf(InMemoryBroker):
    """Keeps what is enlisted."""

    def enlist(self, connection: list[BrokerMessage], messages: Sequence[BrokerMessage]) -> None:
        connection.extend(messages)


class Place(InMemoryBroker):
    """As if it were on a server."""

    capabilities = InMemoryBroker.capabilities | Capability.CROSS_PROCESS

    def __init__(self, *without: Capability, fails: SendTaskError | None = None) -> None:
        super().__init__()
        for flag in without:
            self.capabilities &= ~flag
        self.fails = fails
        self.taken: list[BrokerMessage] = []

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        bad = any(message.message == b"bad" for message in messages)
        if self.fails is not None and (bad or not isinstance(self.fails, MessageRefusedError)):
            raise self.fails
        self.taken += messages
        await super().kick_many(messages)


def admin(broker: AsyncBroker) -> QueueAdmin:
    assert broker.admin is not None
    return broker.admin


def message(task_id: str, body: bytes = b"body", **fields: object) -> BrokerMessage:
    return BrokerMessage(task_id, "a.task", body, **fields)  # type: ignore[arg-type]


async def move(source: AsyncBroker, target: AsyncBroker, queue: str = "default", *, resume: bool = True) -> Moved:
    async with Migration(source, target) as migration:
        return await migration.move(queue, resume=resume)


async def test_what_a_message_is_does_not_change() -> None:
    source, target = Place(), Place()
    sent = [
        message("1", b"one", queue="mail", priority=9),
        message("2", b"two", queue="mail"),
        message("3", b"three", queue="mail", priority=0, delay=100),
    ]
    await source.kick_many(sent)
    assert await move(source, target, "mail") == Moved("mail", moved=3, complete=True)
    *ready, late = target.taken
    assert [(item.task_id, item.message, item.queue, item.priority, item.delay) for item in ready] == [
        ("1", b"one", "mail", 9, None),
        ("2", b"two", "mail", None, None),
    ]
    assert (late.message, late.queue, late.priority) == (b"three", "mail", 0)
    assert late.delay == pytest.approx(99, abs=1)
    assert await admin(source).depth("mail") == QueueDepth()
    assert not await admin(source).paused() | await admin(target).paused()


async def test_queues_stay_paused_if_they_shall() -> None:
    source, target = Place(), Place()
    await source.kick_many([message("1")])
    await move(source, target, resume=False)
    assert await admin(source).paused() == await admin(target).paused() == BOTH


async def test_what_the_target_refuses_stays() -> None:
    source, target = Place(), Place(fails=MessageRefusedError(reason="it is bad"))
    await source.kick_many([message(str(n), b"bad" if n in (3, 40, 249) else b"good") for n in range(250)])
    moved = await move(source, target)
    assert moved == Moved("default", moved=247, refused=dict.fromkeys(("3", "40", "249"), "it is bad"), complete=True)
    assert await admin(source).depth("default") == QueueDepth(ready=3)
    assert (await admin(target).depth("default")).ready == 247


@pytest.mark.parametrize(
    ("lacks", "fields", "reason"),
    [
        (Capability.DELAY, {"delay": 100.0}, "it is due in 99 s, and the target has no delays"),
        (Capability.PRIORITY, {"priority": 9}, "it has the priority 9, and the target has none"),
    ],
)
async def test_what_the_target_lacks(lacks: Capability, fields: dict[str, float], reason: str) -> None:
    source, target = Place(), Place(lacks)
    await source.kick_many([message("1"), message("2", **fields)])
    assert await move(source, target) == Moved("default", moved=1, refused={"2": reason}, complete=True)


async def test_what_is_in_an_outbox_stays() -> None:
    """Also in one with a name of its own; the form of an id alone says nothing."""
    source, target, entries = Place(), Place(), list[BrokerMessage]()
    Outbox(Shelf(), "aside").enlist(entries, [message("1")])
    await source.kick_many([*entries, message("aside/2", queue="aside")])
    moved = await move(source, target, "aside")
    assert moved.refused == {"aside/1": "it is in an outbox, and for its relay to move"}
    assert [item.task_id for item in target.taken] == ["aside/2"]
    assert await admin(source).depth("aside") == QueueDepth(ready=1)


async def test_what_is_too_big_for_the_target() -> None:
    source, target = Place(), Place()
    target.max_message_size = 3
    await source.kick_many([message("1", b"four"), message("2", b"two")])
    moved = await move(source, target)
    assert moved.refused == {"1": "it has 4 bytes, and the target takes 3"}
    assert [item.task_id for item in target.taken] == ["2"]


async def test_brokers_that_cannot_do_their_part() -> None:
    with pytest.raises(ConfigurationError, match=r"The source keeps its messages in one process"):
        Migration(InMemoryBroker(), Place())
    with pytest.raises(ConfigurationError, match=r"The source is a Place, which cannot show what waits in its queues\."):
        Migration(Place(Capability.EVACUATE), Place())
    with pytest.raises(ConfigurationError, match=r"The target is a Place, which cannot pause its queues while they are filled"):
        Migration(Place(), Place(Capability.DEAD_LETTER))
    with pytest.raises(ConfigurationError, match=r"The target has no named queues, so 'mail' cannot be moved to it"):
        await move(Place(), Place(Capability.QUEUES), "mail")


async def test_a_source_that_cannot_name_its_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Place()
    monkeypatch.setattr(admin(source), "queues", functools.partial(anyio.sleep, 0))
    with pytest.raises(ConfigurationError, match=r"Place cannot say which queues there are, .*: name each with --queue\."):
        async with Migration(source, Place()) as migration:
            await migration.queues()


async def test_one_place_is_not_two() -> None:
    place, other = Place(), Place()
    with pytest.raises(ConfigurationError, match="the same place"):
        async with Migration(place, place):
            pass
    async with Migration(place, other):
        pass
    assert not await admin(place).paused() | await admin(other).paused()


async def test_a_queue_is_resumed_where_nothing_is_in_doubt() -> None:
    source, target = Place(), Place(fails=SendTaskError(reason="it is full", outcome="refused"))
    await source.kick_many([message("1")])
    with pytest.raises(SendTaskError, match="it is full"):
        await move(source, target)
    assert not await admin(source).paused() | await admin(target).paused()
    assert await admin(source).depth("default") == QueueDepth(ready=1)


async def test_a_queue_stays_paused_where_something_is_in_doubt() -> None:
    source, target = Place(), Place(fails=SendTaskError(reason="no answer came", outcome="unknown"))
    await source.kick_many([message("1")])
    with pytest.raises(BrokerError, match=r"no answer came\. Nothing is lost\. The queue 'default' stays paused.*--resume"):
        await move(source, target)
    assert await admin(source).paused() == await admin(target).paused() == BOTH


class _Fails(Evacuation):
    async def next(self, limit: int) -> Sequence[Waiting]:
        return [Waiting("1", b"body", "default", 5)]

    async def remove(self, messages: Sequence[Waiting]) -> None:
        raise BrokerError(reason="the source is gone")


async def test_a_removal_that_fails_leaves_the_queue_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = Place(), Place()
    monkeypatch.setattr(admin(source), "evacuate", lambda queue: _Fails())
    with pytest.raises(BrokerError, match=r"the source is gone\. Nothing is lost"):
        await move(source, target)
    assert await admin(source).paused() == await admin(target).paused() == BOTH


async def test_who_is_cancelled_leaves_the_queue_paused_while_something_is_in_doubt() -> None:
    class Silent(Place):
        async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
            await anyio.sleep_forever()

    source, target = Place(), Silent()
    await source.kick_many([message("1")])
    with anyio.move_on_after(5):
        await move(source, target)
    assert await admin(source).paused() == await admin(target).paused() == BOTH
    source, target = Place(), Silent()
    with anyio.move_on_after(0.5):  # while the pause has not reached everybody yet
        await move(source, target)
    assert not await admin(source).paused() | await admin(target).paused()


async def test_stopping_ends_after_a_page() -> None:
    source, target = Place(), Place()
    await source.kick_many([message(str(number)) for number in range(250)])
    async with Migration(source, target) as migration:
        moved = await migration.move("default", resume=True, tell=lambda moved: migration.stop())
    assert (moved.moved, moved.complete) == (100, False)
    assert (await admin(source).depth("default")).ready == 150
    assert not await admin(source).paused() | await admin(target).paused()
