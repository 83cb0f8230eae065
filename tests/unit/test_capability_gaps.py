"""What the core does where a broker lacks a capability: an option is refused in a sentence, or something is done in its place.

Each broker of this repository is tried with what it lacks, and a plugin that declares nothing with all. What the core
does hangs on the declaration alone, so brokers in memory stand in for those on servers. A new flag needs its place in GAPS.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from support.capability_table import brokers
from support.classic_queue import Queue

from taskiq_core import (
    AsyncBroker,
    BrokerMessage,
    Capability,
    Concurrency,
    InMemoryBroker,
    InMemoryResultBackend,
    Retry,
    Unique,
    call,
    gather,
)
from taskiq_core.abc.subscription import Subscription
from taskiq_core.cli.operating import require_shared
from taskiq_core.delivery import Settlement, StoredResult
from taskiq_core.exceptions import ConfigurationError, SendTaskError, TaskCancelledError, UnsupportedOptionError
from taskiq_core.migration import Migration
from taskiq_core.worker import Worker

pytestmark = pytest.mark.anyio


class Plain(AsyncBroker):
    """Sends and listens, as the simplest plugin does: one message at a time, and no acknowledgement."""

    def __init__(self, declared: Capability) -> None:
        super().__init__(InMemoryResultBackend[Any]())
        self.capabilities = declared
        self.store = Queue(ackable=False)
        self.sent = 0

    async def kick(self, message: BrokerMessage) -> None:
        self.sent += 1
        self.store.put(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:  # type: ignore[override]
        async for body in self.store.listen():
            assert isinstance(body, bytes)
            yield body


class Rich(InMemoryBroker):
    """Serves much, and declares what it is told to. Workers are the test's, where it is to have any."""

    def __init__(self, declared: Capability, *, works: bool = True) -> None:
        # Other processes see nothing of the coordinator in memory.
        self.capabilities = declared & ~Capability.CROSS_PROCESS
        super().__init__()
        self.is_worker_process = not works


@asynccontextmanager
async def working(broker: AsyncBroker) -> AsyncGenerator[None]:
    async with broker, anyio.create_task_group() as group:
        worker = Worker(broker, concurrency=2)
        group.start_soon(worker.serve)
        with anyio.fail_after(10):
            yield
        worker.stop()


def refused(broker: AsyncBroker, flag: Capability) -> Any:
    text = re.escape(f"but {type(broker).__name__} does not declare {flag.name}. ") + ".*use a broker that has it"
    return pytest.raises(UnsupportedOptionError, match=text)


async def _option_is_refused(declared: Capability, flag: Capability, option: str, value: Any) -> None:
    """By the task when the broker starts, by the kicker at the call, and by a route when the broker starts."""
    broker = Rich(declared)
    task = broker.register_task(lambda: None, "fine")
    with refused(broker, flag):
        getattr(task.kicker(), f"with_{option}")(value)
    broker.with_routes({"fine": {option: value}})  # type: ignore[dict-item]
    with refused(broker, flag):
        await broker.startup()
    broker = Rich(declared)
    broker.register_task(lambda: None, "picky", **{option: value})
    with refused(broker, flag):
        await broker.startup()


async def ack(declared: Capability) -> None:
    """What is to be tried again is sent anew."""
    broker, runs = Plain(declared), list[int]()

    @broker.task(retry=1)
    async def fails_once(number: int) -> int:
        runs.append(number)
        return 1 // (len(runs) - 1)

    async with working(broker):
        assert await (await fails_once.kiq(7)) == 1
    assert (runs, broker.sent) == ([7, 7], 2)


async def durable(declared: Capability) -> None:
    """No option needs it."""
    async with Rich(declared) as broker:
        assert await (await broker.register_task(lambda: 42, "answer").kiq()) == 42


async def lease(declared: Capability) -> None:
    """What a worker holds is its own until it is settled or the subscription is left, which gives it back."""
    broker = Plain(declared)
    async with broker:
        async with broker.subscribe(["default"]) as subscription:
            await broker.kicker("a.task").kiq()
            taken = await subscription.receive(1)
            assert subscription.lease is None
            assert not await subscription.extend(taken)
        assert len(broker.store.bodies) == 1


async def delay(declared: Capability) -> None:
    """Refused, but for the delays of retries, which messages spend in the worker."""
    await _option_is_refused(declared, Capability.DELAY, "delay", 5)
    broker, runs = Plain(declared), list[float]()

    @broker.task(retry=Retry(1, delay=0.2, jitter=0))
    async def fails_once() -> None:
        runs.append(anyio.current_time())
        if len(runs) == 1:
            raise ValueError

    async with working(broker):
        await (await fails_once.kiq())
    assert runs[1] - runs[0] >= 0.2


async def priority(declared: Capability) -> None:
    await _option_is_refused(declared, Capability.PRIORITY, "priority", 9)


async def queues(declared: Capability) -> None:
    await _option_is_refused(declared, Capability.QUEUES, "queue", "mail")


async def dead_letter(declared: Capability) -> None:
    broker = Rich(declared)
    broker.register_task(lambda: None, "kept", dead_letter=True)
    with refused(broker, Capability.DEAD_LETTER):
        await broker.startup()
    with pytest.raises(ConfigurationError, match=r"Plain keeps no dead letters: use a broker that declares"):
        await Plain(declared).dead.list()


async def batch(declared: Capability) -> None:
    """Messages go one by one."""
    broker = Plain(declared)
    task = broker.register_task(lambda number: number, "echo")
    async with working(broker):
        results = await gather(*await task.kiq_many([call(number) for number in range(3)]))
    assert [result.return_value for result in results] == [0, 1, 2]
    assert broker.sent == 3


async def idempotent_send(declared: Capability) -> None:
    """A send whose outcome is unknown is told, and never repeated by the core."""

    class Silent(Rich):
        tries = 0

        async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
            self.tries += 1
            raise ConnectionError("no answer")

    async with Silent(declared) as broker:
        with pytest.raises(SendTaskError, match=r"could not be sent \(unknown\): ConnectionError: no answer"):
            await broker.register_task(lambda: None, "once").kiq()
    assert broker.tries == 1


async def joint_settle(declared: Capability) -> None:
    """A result is stored before its message is settled: who dies in between runs the task again, and loses no result."""
    steps: list[str] = []

    class Results(InMemoryResultBackend[Any]):
        async def set_results(self, results: Sequence[StoredResult]) -> None:
            steps.append("result")
            await super().set_results(results)

    class Watched(Plain):
        def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            subscription = super().subscribe(queues, prefetch=prefetch)
            settle = subscription.settle

            async def watched(settlements: Sequence[Settlement]) -> None:
                assert [item.result for item in settlements] == [None]
                steps.append("settled")
                await settle(settlements)

            subscription.settle = watched  # type: ignore[method-assign]
            return subscription

    broker = Watched(declared).with_result_backend(Results())
    task = broker.register_task(lambda: 42, "answer")
    async with working(broker):
        assert await (await task.kiq()) == 42
    assert steps == ["result", "settled"]


async def park(declared: Capability) -> None:
    """A task that finds no free slot is tried again later."""
    broker = Rich(declared | Capability.DELAY)
    runs: list[int] = []

    @broker.task(limits=Concurrency(1))
    async def work(number: int) -> None:
        runs.append(number)
        await anyio.sleep(0.01)

    async with broker:
        await gather(*await work.kiq_many([call(number) for number in range(3)]), timeout=30)
    assert sorted(runs) == [0, 1, 2]


async def discard(declared: Capability) -> None:
    """A waiting task that is cancelled is ended by the worker that receives it; what must take messages out is refused."""
    broker, runs = Rich(declared, works=False), list[int]()

    @broker.task
    async def work(number: int) -> None:
        runs.append(number)

    async with broker:
        first, second = await work.kiq_many([call(1), call(2)])
        assert await first.cancel("user") == "requested"
        async with working(broker):
            with pytest.raises(TaskCancelledError):
                await first
            await second
    assert runs == [2]
    broker = Rich(declared)
    broker.register_task(lambda: None, "last", unique=Unique(on_conflict="replace"))
    with refused(broker, Capability.DISCARD):
        await broker.startup()


async def evacuate(declared: Capability) -> None:
    source = Rich(declared)
    source.capabilities = declared | Capability.CROSS_PROCESS
    with pytest.raises(ConfigurationError, match=r"The source is a Rich, which cannot show what waits in its queues\."):
        Migration(source, source)


async def transactions(declared: Capability) -> None:
    with pytest.raises(UnsupportedOptionError, match=r"Rich does not declare TRANSACTIONS\. Give it an outbox"):
        with Rich(declared).within(object()):
            pass


async def cross_process(declared: Capability) -> None:
    broker = Rich(declared)
    with pytest.raises(ConfigurationError, match="app:broker keeps its messages in one process"):
        require_shared("app:broker", broker)


CHECKS = (
    *(ack, durable, lease, delay, priority, queues, dead_letter, batch, idempotent_send),
    *(joint_settle, park, discard, evacuate, transactions, cross_process),
)
GAPS = {Capability[check.__name__.upper()]: check for check in CHECKS}
CASES = [
    pytest.param(declared, flag, id=f"{title} without {flag.name}")
    for title, declared in [("a plugin", Capability.NONE), *((title, made.capabilities) for title, made in brokers().items())]
    for flag in Capability
    if flag not in declared
]


def test_every_capability_may_be_missing() -> None:
    assert list(GAPS) == list(Capability), "say in GAPS what the core does where a broker lacks this"


@pytest.mark.parametrize(("declared", "flag"), CASES)
async def test_what_is_done_without(declared: Capability, flag: Capability) -> None:
    await GAPS[flag](declared)
