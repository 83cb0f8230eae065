"""Unique tasks that are sent again: at once, after a cancel, after a send that did not come through."""

from collections.abc import Sequence

import anyio
import pytest

from taskiq_core import Debounce, InMemoryBroker, InMemoryResultBackend, SendTaskError, Throttle, Unique
from taskiq_core.abc.coordinator import Claim
from taskiq_core.exceptions import TaskCancelledError
from taskiq_core.message import BrokerMessage

pytestmark = pytest.mark.anyio

DEADLINE = 10
REPLACE = Unique(key="{n}", on_conflict="replace")


class Stalling(InMemoryBroker):
    """`stall` says where a send hangs: before the broker has the message, or after."""

    stall: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.reached = anyio.Event()

    async def kick(self, message: BrokerMessage) -> None:
        await self.kick_many([message])

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if self.stall == "before":
            self.reached.set()
            await anyio.sleep_forever()
        await super().kick_many(messages)
        if self.stall == "after":
            self.reached.set()
            await anyio.sleep_forever()


class Trouble(InMemoryResultBackend):
    """A coordinator whose answers get lost, or that gives nothing and names nobody."""

    lost = False
    refuses = False

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        kept = [claim for claim in claims if not self.refuses or claim.key.startswith("sending:")]
        granted = await super().claim(kept) or [False] * len(claims)
        if self.lost:
            raise ConnectionError("away")
        return granted

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        if self.lost:
            raise ConnectionError("away")
        await super().release(claims)


async def test_a_task_that_may_run_again_from_its_start_can_send_itself() -> None:
    broker, outcomes = InMemoryBroker(), list[str]()

    @broker.task("job", unique=Unique(until="started"))
    async def job(left: int) -> int:
        if left:
            handle = await job.kiq(left - 1)
            outcomes.append(handle.outcome)
        return left

    async with broker:
        await (await job.kiq(5))
        await broker.wait_all()
    assert outcomes == ["queued"] * 5


async def test_whoever_has_the_result_can_send_again() -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=True)
    async def job(number: int) -> int:
        return number

    async with broker:
        for number in range(20):
            assert await (await job.kiq(number)) == number


@pytest.mark.parametrize("options", [{"unique": Unique(key="{n}")}, {"unique": REPLACE}, {"debounce": Debounce(60, key="{n}")}])
async def test_an_id_that_is_sent_again_after_a_cancel_has_its_place(options: dict[str, Unique | Debounce]) -> None:
    broker, runs = InMemoryBroker(), list[int]()

    @broker.task("job", **options)
    async def job(n: int) -> None:
        runs.append(n)

    async with broker:
        kicker = job.kicker().with_task_id("x")
        if "unique" in options:
            kicker.with_delay(60)
        handle = await kicker.kiq(1)
        assert await handle.cancel() == "removed"
        assert (await kicker.kiq(1)).outcome == "queued"
        another = await job.kicker().kiq(1)
        assert broker.admin is not None
        assert (await broker.admin.depth("default")).delayed + (await broker.admin.depth("default")).ready <= 1
        if options == {"unique": Unique(key="{n}")}:
            assert (another.outcome, another.task_id) == ("duplicate", "x")


@pytest.mark.parametrize("stall", ["before", "after"])
@pytest.mark.parametrize("option", [Unique(key="{n}"), REPLACE, Throttle(60, key="{n}")])
async def test_a_send_that_is_cancelled_leaves_nothing_behind(option: Unique | Throttle, stall: str) -> None:
    broker, ran = Stalling(), list[str]()

    @broker.task("job", **({"throttle": option} if isinstance(option, Throttle) else {"unique": option}))
    async def job(n: int, text: str) -> None:
        ran.append(text)

    assert broker.admin is not None
    await broker.admin.pause("default")
    async with broker:
        await _cancel_a_send(broker, stall, job.kicker().kiq, 1, "cancelled")
        handle = await job.kiq(1, "sent")
        assert handle.outcome == "queued"
        await broker.admin.resume("default")
        await handle.wait_result(timeout=DEADLINE)
    assert ran == ["sent"]


@pytest.mark.parametrize("stall", ["before", "after"])
async def test_a_debounced_send_that_is_cancelled_leaves_the_one_before_to_the_next(stall: str) -> None:
    broker, ran = Stalling(), list[str]()

    @broker.task("save", debounce=Debounce(0.05))
    async def save(text: str) -> None:
        ran.append(text)

    assert broker.admin is not None
    await broker.admin.pause("default")
    async with broker:
        first = await save.kiq("first")
        await _cancel_a_send(broker, stall, save.kicker().kiq, "cancelled")
        last = await save.kiq("last")
        await broker.admin.resume("default")
        assert isinstance((await first.wait_result(timeout=DEADLINE)).error, TaskCancelledError)
        await last.wait_result(timeout=DEADLINE)
    assert ran == ["last"]


async def _cancel_a_send(broker: Stalling, stall: str, send: object, *args: object) -> None:
    broker.stall = stall
    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            group.start_soon(send, *args)  # type: ignore[arg-type]
            await broker.reached.wait()
            group.cancel_scope.cancel()
    broker.stall = None


@pytest.mark.parametrize("option", [Unique(), Unique(on_conflict="replace")])
async def test_a_place_whose_answer_was_lost_is_free_for_the_next_send(option: Unique) -> None:
    backend = Trouble()
    broker = InMemoryBroker().with_result_backend(backend)

    @broker.task("job", unique=option)
    async def job() -> None:
        return None

    backend.lost = True
    with pytest.raises(SendTaskError, match="does not answer") as caught:
        await job.kiq()
    assert caught.value.outcome == "refused"
    backend.lost = False
    assert (await job.kiq()).outcome == "queued"


@pytest.mark.parametrize("option", [Unique(), Unique(on_conflict="replace")])
async def test_a_coordinator_that_contradicts_itself_is_not_asked_for_ever(
    option: Unique,
) -> None:
    backend = Trouble()
    broker = InMemoryBroker().with_result_backend(backend)

    @broker.task("job", unique=option)
    async def job() -> None:
        return None

    backend.refuses = True
    with anyio.fail_after(DEADLINE), pytest.raises(SendTaskError, match="again and again") as caught:
        await job.kiq()
    assert caught.value.outcome == "refused"


async def test_who_waits_too_long_behind_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Stalling()

    @broker.task("job", unique=REPLACE)
    async def job(n: int) -> None:
        return None

    monkeypatch.setattr("taskiq_core.send_lock.SEND_TIMEOUT", 0.05)
    broker.stall = "before"
    async with anyio.create_task_group() as group:
        group.start_soon(job.kiq, 1)
        await broker.reached.wait()
        with anyio.fail_after(DEADLINE), pytest.raises(SendTaskError, match="others send with the same key") as caught:
            await job.kiq(1)
        assert caught.value.outcome == "refused"
        group.cancel_scope.cancel()
    broker.stall = None
    assert (await job.kiq(1)).outcome == "queued"


async def test_a_replacement_by_a_sender_that_died_half_way_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, ran = InMemoryBroker(), list[str]()

    @broker.task("job", unique=Unique(on_conflict="replace"))
    async def job(text: str) -> None:
        ran.append(text)

    class Killed(BaseException):
        """As if the process had ended: nothing is given back, and its lock ends in time."""

    async def nothing(*_: object) -> None:
        return None

    admin = broker.admin
    assert admin is not None
    assert broker.coordinator is not None
    discard = admin.discard

    async def dying(task_ids: Sequence[str]) -> Sequence[str]:
        await discard(task_ids)
        raise Killed

    await admin.pause("default")
    async with broker:
        await job.kiq("first")
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(admin, "discard", dying)
            patched.setattr(broker.coordinator, "release", nothing)
            await job.kiq("killed")
        await broker.coordinator.forget(["sending:unique:job:"])
        last = await job.kiq("last")
        assert last.outcome == "queued"
        await admin.resume("default")
        await last.wait_result(timeout=DEADLINE)
    assert ran == ["last"]
