"""Debounced, throttled and idempotent sends."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import anyio
import pytest
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core import Capability, Debounce, InMemoryBroker, InMemoryResultBackend, SendTaskError, Throttle, Unique, call
from taskiq_core.exceptions import ConfigurationError, TaskCancelledError, UnsupportedOptionError
from taskiq_core.labels import DELAY
from taskiq_core.message import BrokerMessage
from taskiq_core.testing import virtual_time

pytestmark = pytest.mark.anyio

DEADLINE = 10


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    """However busy the machine is, nothing falls due before a test has nothing else to do."""
    with virtual_time():
        yield


class Sent(InMemoryBroker):
    """Notes the delays of what it is sent; `answers` are errors to raise instead."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float | None] = []
        self.answers: list[Exception] = []

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.delays += [message.delay for message in messages]
        await super().kick_many(messages)

    async def kick(self, message: BrokerMessage) -> None:
        await self.kick_many([message])


async def note(text: str, ran: list[str]) -> str:
    ran.append(text)
    return text


async def test_of_a_series_of_calls_the_last_runs() -> None:
    broker, ran = Sent(), list[str]()

    @broker.task("save", debounce=Debounce(0.05, key="{user}"))
    async def save(user: int, text: str) -> str:
        return await note(text, ran)

    async with broker:
        first, other = await save.kiq(1, "a"), await save.kiq(2, "other")
        for text in "bc":
            last = await save.kiq(1, text)
        assert (await last, await other) == ("c", "other")
        result = await first.wait_result(timeout=DEADLINE)
        assert isinstance(result.error, TaskCancelledError)
        assert result.error.reason.startswith("replaced by ")
    assert sorted(ran) == ["c", "other"]
    assert broker.delays == [0.05] * 4


async def test_many_debounced_at_once_run_once() -> None:
    broker, ran = InMemoryBroker(), list[str]()

    @broker.task("save", debounce=0.2)
    async def save(text: str) -> str:
        return await note(text, ran)

    assert broker.admin is not None
    async with anyio.create_task_group() as senders:
        for number in range(20):
            senders.start_soon(save.kiq, str(number))
    assert (await broker.admin.depth("default")).delayed == 1
    handles = await save.kiq_many([call("x"), call("y")])
    assert [handle.outcome for handle in handles] == ["duplicate", "queued"]
    async with broker:
        assert await handles[0] == "y"
    assert ran == ["y"]


async def test_max_wait_counts_from_the_first_call_of_a_series() -> None:
    broker = Sent()

    @broker.task("save", debounce=Debounce(100, max_wait=100.5))
    async def save() -> None:
        return None

    for _ in range(2):
        await save.kiq()
    with anyio.fail_after(DEADLINE):
        while broker.delays[-1] == 100:
            await anyio.sleep(0.01)
            await save.kiq()
    assert 90 < (broker.delays[-1] or 0) < 100
    assert broker.admin is not None
    assert (await broker.admin.depth("default")).delayed == 1


async def test_a_series_ends_when_it_has_started() -> None:
    broker, ran = Sent(), list[str]()

    @broker.task("save", debounce=Debounce(0.01, max_wait=0.02))
    async def save(text: str) -> str:
        return await note(text, ran)

    async with broker:
        for text in "ab":
            assert await (await save.kiq(text)) == text
    assert ran == ["a", "b"]


async def test_a_debounced_send_that_fails_leaves_the_one_before() -> None:
    broker, ran = Sent(), list[str]()

    @broker.task("save", debounce=0.05)
    async def save(text: str) -> str:
        return await note(text, ran)

    async with broker:
        first = await save.kiq("a")
        broker.answers.append(SendTaskError(reason="no", outcome="refused"))
        with pytest.raises(SendTaskError):
            await save.kiq("b")
        second = await save.kiq("c")
        assert await second == "c"
        assert (await first.wait_result(timeout=DEADLINE)).is_err
    assert ran == ["c"]


async def test_throttled_calls_within_the_time_are_duplicates_though_the_first_has_run() -> None:
    broker = InMemoryBroker()

    @broker.task("ping", throttle=Throttle(0.2, key="{host}"))
    async def ping(host: str) -> str:
        return host

    async with broker:
        first = await ping.kiq("a")
        assert await first == "a"
        second, other = await ping.kiq("a"), await ping.kiq("b")
        assert [second.outcome, second.task_id, other.outcome] == ["duplicate", first.task_id, "queued"]
        with anyio.fail_after(DEADLINE):
            while (again := await ping.kiq("a")).outcome == "duplicate":
                await anyio.sleep(0.02)
        assert again.task_id != first.task_id


async def test_a_key_makes_one_task_whatever_became_of_the_first() -> None:
    broker = Sent()
    task = broker.register_task(note, "note")
    broker.register_task(job, "elsewhere")
    async with broker:
        first = await broker.kicker(task).with_idempotency_key("k").kiq("a", [])
        assert (await first, first.outcome) == ("a", "queued")
        again = await broker.kicker("note").with_idempotency_key("k").kiq("a", [])
        assert (again.task_id, again.outcome) == (first.task_id, "duplicate")
        other = await broker.kicker("elsewhere").with_idempotency_key("k").kiq()
        assert (other.task_id != first.task_id, other.outcome) == (True, "queued")
    assert len(broker.delays) == 2


async def test_many_with_one_key_at_once_make_one_task() -> None:
    broker = Sent()
    broker.register_task(job, "note")

    async def send() -> None:
        await broker.kicker("note").with_idempotency_key("k").kiq()

    async with anyio.create_task_group() as senders:
        for _ in range(20):
            senders.start_soon(send)
    assert len(broker.delays) == 1


@pytest.mark.parametrize("outcome", ["refused", "unknown"])
async def test_a_failed_send_may_be_repeated_under_its_key(outcome: str) -> None:
    broker = Sent()
    broker.answers.append(SendTaskError(reason="?", outcome=outcome))
    task = broker.register_task(note, "note", unique=Unique())
    with pytest.raises(SendTaskError):
        await task.kicker().with_idempotency_key("k").kiq("a", [])
    repeated = await task.kicker().with_idempotency_key("k").kiq("a", [])
    assert (repeated.outcome, len(broker.delays)) == ("queued", 1)
    assert (await task.kicker().with_idempotency_key("k").kiq("a", [])).outcome == "duplicate"


async def test_a_key_makes_the_id_alone_and_needs_shared_state() -> None:
    broker = InMemoryBroker()
    with pytest.raises(ValueError, match="makes the task id"):
        broker.kicker("note").with_task_id("mine").with_idempotency_key("k")
    with pytest.raises(ValueError, match="makes the task id"):
        await broker.kicker("note").with_idempotency_key("k").with_task_id("mine").kiq()
    with pytest.raises(ValueError, match="makes one task, and a schedule makes many"):
        await broker.kicker("note").with_idempotency_key("k").schedule_by_cron(MemorySource(), "* * * * *")
    with pytest.raises(ConfigurationError, match=r"with_idempotency_key\(\) on task 'note' needs shared state"):
        await KeepingBroker().kicker("note").with_idempotency_key("k").kiq()


async def job() -> None:
    return None


class OnServer(KeepingBroker):
    capabilities = Capability.CROSS_PROCESS | Capability.DELAY


@pytest.mark.parametrize(
    ("broker", "options", "why"),
    [
        (KeepingBroker(), {"unique": True}, r"asks for Unique\(...\), but KeepingBroker does not declare shared state"),
        (OnServer(InMemoryResultBackend()), {"unique": True}, "but InMemoryResultBackend does not declare shared state"),
        (KeepingBroker(InMemoryResultBackend()), {"unique": Unique(on_conflict="replace")}, "does not declare DISCARD"),
        (KeepingBroker(InMemoryResultBackend()), {"debounce": 1}, "does not declare DELAY"),
        (InMemoryBroker(), {"debounce": 1, "delay": 1}, "is debounced, which says when it runs, and has a delay"),
        (InMemoryBroker(), {"unique": Unique(key="{n}")}, "has the key '{n}'"),
    ],
)
async def test_what_cannot_be_served_is_refused(broker: InMemoryBroker, options: dict[str, object], why: str) -> None:
    with pytest.raises((UnsupportedOptionError, ConfigurationError), match=why):
        broker.register_task(job, "job", **options)
        await broker.startup()


async def test_a_delay_of_one_debounced_send_is_refused() -> None:
    broker = InMemoryBroker()
    task = broker.register_task(job, "job", debounce=1)
    kicker = task.kicker().with_delay(3)
    assert DELAY.get(kicker.labels) == 3
    with pytest.raises(ConfigurationError, match="is debounced"):
        await kicker.kiq()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"queue": "vip"}, "A send of task 'job' asks for queue='vip', but KeepingBroker does not declare QUEUES"),
        ({"priority": 1}, "does not declare PRIORITY"),
        ({"delay": 1}, "does not declare DELAY"),
        ({"unique": True}, r"asks for Unique\(...\), but KeepingBroker does not declare shared state"),
        ({"unique": Unique(on_conflict="replace")}, "does not declare"),
        ({"debounce": 1}, "does not declare"),
    ],
)
async def test_another_broker_must_serve_it_too(options: dict[str, object], why: str) -> None:
    task = InMemoryBroker().register_task(job, "job", **options)
    with pytest.raises(UnsupportedOptionError, match=why):
        task.kicker().with_broker(KeepingBroker())
    with pytest.raises(UnsupportedOptionError, match="with_idempotency_key"):
        InMemoryBroker().kicker("job").with_idempotency_key("k").with_broker(KeepingBroker())


@pytest.mark.parametrize("key", ["", None, 17, "\ud800"])
async def test_an_idempotency_key_is_a_text(key: str) -> None:
    with pytest.raises(ValueError, match="an idempotency key is a text that"):
        InMemoryBroker().kicker("job").with_idempotency_key(key)


@pytest.mark.parametrize("endless", [float("inf"), timedelta.max])
async def test_no_time_is_endless(endless: float | timedelta) -> None:
    for make in (lambda: Debounce(endless), lambda: Throttle(endless), lambda: Unique(ttl=endless)):
        with pytest.raises(ValueError, match=r"at most 1e\+11,"):
            make()
