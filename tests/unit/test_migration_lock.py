"""One run at a time moves messages: another one is refused, and what a killed one has left is seen to be dead."""

from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest

from taskiq_core import BrokerMessage, Capability, InMemoryBroker, clock
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.migration import Migration
from taskiq_core.migration_lock import MARK
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio

WORKS = r"Another run of `taskiq migrate` works at this {}\. Wait for its end"


@pytest.fixture(autouse=True)
async def time() -> AsyncGenerator[None]:
    with virtual_time():
        yield


class Place(InMemoryBroker):
    """As if it were on a server; a send takes so many seconds."""

    capabilities = InMemoryBroker.capabilities | Capability.CROSS_PROCESS

    def __init__(self, slow: float = 0.0) -> None:
        super().__init__()
        self.slow = slow
        self.sends = 0

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        self.sends += 1
        await anyio.sleep(self.slow)
        await super().kick_many(messages)


def admin(broker: InMemoryBroker) -> QueueAdmin:
    assert broker.admin is not None
    return broker.admin


async def marks(broker: InMemoryBroker) -> list[str]:
    return [name for name in await admin(broker).paused() if name.startswith(MARK)]


def message(task_id: str) -> BrokerMessage:
    return BrokerMessage(task_id, "a.task", b"body")


async def move(source: InMemoryBroker, target: InMemoryBroker) -> None:
    async with Migration(source, target) as migration:
        await migration.move("default", resume=True)


async def refused(source: InMemoryBroker, target: InMemoryBroker, side: str) -> None:
    with pytest.raises(ConfigurationError, match=WORKS.format(side)):
        async with Migration(source, target):
            raise AssertionError("two runs work at once")


async def test_a_second_run_is_refused_while_the_first_works() -> None:
    source, target = Place(), Place(slow=20)
    await source.kick_many([message("1")])
    async with anyio.create_task_group() as group:
        group.start_soon(move, source, target)
        await anyio.sleep(1.5)  # it sends, and has looked for others once
        await refused(source, target, "source")
        await refused(source, Place(), "source")
        await refused(Place(), target, "target")
        assert await marks(source) == await marks(target) != []
        await refused(target, Place(), "source")
    assert target.sends == 1
    assert not await admin(source).paused() | await admin(target).paused()


async def test_other_places_do_not_wait() -> None:
    async with Migration(Place(), Place()), Migration(Place(), Place()):
        pass


async def test_what_a_killed_run_left_is_taken_away(caplog: pytest.LogCaptureFixture) -> None:
    source, target = Place(), Place()
    await source.kick_many([message("1")])
    for place in (source, target):
        await admin(place).pause(f"{MARK}killed")
        await admin(place).pause("default")
    before = clock.monotonic()
    async with Migration(source, target) as migration:
        assert clock.monotonic() - before == pytest.approx(4)
        assert f"{MARK}killed" not in await admin(source).paused() | await admin(target).paused()
        assert (await migration.move("default", resume=True)).moved == 1
        assert await migration.queues() == ()
    assert not await admin(source).paused() | await admin(target).paused()
    assert "waiting 4 s" in caplog.text


async def test_of_those_who_come_after_a_kill_one_works() -> None:
    """At whatever distance they begin; all may be refused, but no two work."""
    for distance in (0.0, 0.5, 1.0, 3.5, 4.0):
        source, target = Place(), Place()
        await admin(source).pause(f"{MARK}killed")
        working = most = ended = 0

        async def run(late: float, source: Place = source, target: Place = target) -> None:
            nonlocal working, most, ended
            await anyio.sleep(late)
            try:
                async with Migration(source, target):
                    working += 1
                    most = max(most, working)
                    await anyio.sleep(60)
                    working -= 1
            except ConfigurationError:
                pass
            ended += 1

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(run, number * distance)
        assert (most <= 1, ended) == (True, 3)
        assert not await admin(source).paused() | await admin(target).paused()


async def test_who_stood_still_gives_way() -> None:
    """Its mark was taken for one of the killed: it touches nothing more, and leaves the queues to who took over."""
    source, target = Place(), Place(slow=3)
    await source.kick_many([message(str(number)) for number in range(250)])

    async def take_over() -> None:
        await anyio.sleep(2)
        for mark in await marks(source):
            await admin(source).resume(mark)

    async with anyio.create_task_group() as group:
        group.start_soon(take_over)
        with pytest.raises(BrokerError, match=r"another one has taken over: that one goes on\.$"):
            await move(source, target)
    assert target.sends == 1
    assert await admin(source).paused() & await admin(target).paused() == {"default"}


async def test_who_stood_still_takes_nothing_from_who_took_over(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = Place(), Place()
    look = admin(source).paused
    has_woken = False

    async def stand_still() -> frozenset[str]:
        nonlocal has_woken
        monkeypatch.setattr(admin(source), "paused", look)
        await anyio.sleep(20)
        has_woken = True
        return await look()

    async def take_over() -> None:
        await anyio.sleep(2)
        async with Migration(source, target) as migration:
            assert not has_woken
            await source.kick_many([message("1")])
            await anyio.sleep(30)
            assert has_woken
            assert (await migration.move("default", resume=True)).moved == 1

    async with anyio.create_task_group() as group:
        async with Migration(source, target) as migration:
            monkeypatch.setattr(admin(source), "paused", stand_still)
            group.start_soon(take_over)
            await anyio.sleep(25)
            with pytest.raises(BrokerError, match="another one has taken over"):
                await migration.move("default", resume=True)


async def test_who_cannot_see_its_mark_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = Place(), Place(slow=3)
    await source.kick_many([message(str(number)) for number in range(250)])

    async def away() -> frozenset[str]:
        raise BrokerError(reason="the source is away")

    async with Migration(source, target) as migration:
        with pytest.raises(BrokerError, match="the source is away"):
            await migration.move("default", resume=True, tell=lambda moved: monkeypatch.setattr(admin(source), "paused", away))
        monkeypatch.undo()
    assert target.sends == 2, "what was seen counts for a moment, and no longer"
