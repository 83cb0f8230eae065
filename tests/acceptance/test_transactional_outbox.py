"""The outbox: what is sent within a transaction reaches another broker if and only if that commits."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.outbox_fixtures import anyio_backend, home
from support.outboxes import Database, emptied, ids_of, relaying

from taskiq_core import call
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.exceptions import MessageRefusedError, SendTaskError, TaskCancelledError
from taskiq_core.message import BrokerMessage
from taskiq_core.outbox import OUTBOX_QUEUE
from taskiq_core.testing.broker_tools import collect, messages, nothing_comes, settle, whats_there
from taskiq_core.worker import Worker
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_redis import RedisResultBackend

__all__ = ["anyio_backend", "home"]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(home: Database, redis_url: str, redis_prefix: str) -> AsyncGenerator[RedisBroker]:
    async with RedisBroker(redis_url, prefix=redis_prefix).with_outbox(home.broker) as broker:
        yield broker


async def test_what_is_committed_is_moved_as_it_was_sent(home: Database, broker: RedisBroker) -> None:
    @broker.task
    async def note(text: str) -> None: ...

    async with relaying(broker), broker.subscribe(["default", "urgent"]) as subscription:
        with pytest.raises(ZeroDivisionError):
            async with home.transaction() as connection:
                with broker.within(connection):
                    await note.kiq("rolled back")
                raise ZeroDivisionError
        async with home.transaction() as connection:
            with broker.within(connection):
                sent = await note.kiq_many([call("a"), call("b")])
                urgent = await note.kicker().with_queue("urgent").with_labels(shop=7).kiq("c")
            await nothing_comes(subscription, 0.1)
        taken = await collect(subscription, 3)
        assert ids_of(broker, taken) == sorted([*(handle.task_id for handle in sent), urgent.task_id])
        (special,) = [item for item in taken if item.queue == "urgent"]
        message = broker.formatter.loads(special.body)
        assert (message.task_id, message.args, message.labels["shop"]) == (urgent.task_id, ["c"], 7)
        await settle(subscription, taken)
    assert await home.depth() == QueueDepth()


async def test_a_large_transaction_and_several_relays(home: Database, broker: RedisBroker) -> None:
    @broker.task
    async def note(number: int) -> None: ...

    async with home.transaction() as connection:
        with broker.within(connection):
            sent = await note.kiq_many([call(number) for number in range(10_000)])
    async with relaying(broker, 3):
        await emptied(home)
    found = ids_of(broker, await whats_there(broker))
    assert found == sorted(handle.task_id for handle in sent)


class Choosy(RedisBroker):
    """Refuses some messages for good, and remembers how the others were sent."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sent: dict[str, BrokerMessage] = {}

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if any(message.queue == "nowhere" for message in messages):
            raise MessageRefusedError(reason="there is no queue 'nowhere'")
        if any(message.queue == "broken" for message in messages):
            raise SendTaskError(reason="queue 'broken' is", outcome="refused")
        await super().kick_many(messages)
        self.sent.update((message.task_id, message) for message in messages)


async def test_delays_count_from_the_send(home: Database, redis_url: str, redis_prefix: str) -> None:
    async with Choosy(redis_url, prefix=redis_prefix).with_outbox(home.broker) as broker:

        @broker.task(priority=8)
        async def note(text: str) -> None: ...

        async with home.transaction() as connection:
            with broker.within(connection):
                late = await note.kicker().with_delay(100).kiq("late")
                over = await note.kicker().with_delay(0.01).kiq("over")
        await anyio.sleep(0.2)  # of the delays, with no relay there
        async with relaying(broker):
            await emptied(home)
        moved = broker.sent[late.task_id]
        assert moved.delay is not None
        assert 50 < moved.delay < 99.9
        assert (broker.sent[over.task_id].delay, moved.priority) == (None, 8)
        assert await broker.admin.depth("default") == QueueDepth(ready=1, delayed=1)


async def test_what_is_refused_for_good_holds_up_nobody(home: Database, redis_url: str, redis_prefix: str) -> None:
    async with Choosy(redis_url, prefix=redis_prefix).with_outbox(home.broker) as broker:

        @broker.task
        async def note(text: str) -> None: ...

        async with home.transaction() as connection:
            with broker.within(connection):
                passed = await note.kiq_many([call("a"), call("b")])
                lost = await note.kicker().with_queue("nowhere").kiq("c")
                big = await note.kiq("d" * 5000)
                passed.append(await note.kiq("e"))
        broker.max_message_size = 4000
        async with relaying(broker):
            await emptied(home)
        letters = {letter.task_id.removeprefix(f"{OUTBOX_QUEUE}/"): letter for letter in await home.broker.admin.dead_letters()}
        assert letters.keys() == {lost.task_id, big.task_id}
        assert letters[lost.task_id].reason == "not passed on: there is no queue 'nowhere'"
        assert letters[big.task_id].reason.endswith("bytes, and the target takes 4000")
        broker.max_message_size = 10_000
        assert await home.broker.admin.requeue_dead([letters[big.task_id].id]) == 1
        async with relaying(broker):
            await emptied(home)
        assert broker.sent.keys() == {big.task_id, *(handle.task_id for handle in passed)}


async def test_a_queue_in_trouble_holds_up_no_other(home: Database, redis_url: str, redis_prefix: str) -> None:
    async with Choosy(redis_url, prefix=redis_prefix).with_outbox(home.broker) as broker:

        @broker.task
        async def note(number: int) -> None: ...

        async with home.transaction() as connection:
            with broker.within(connection):
                await note.kicker().with_queue("broken").kiq_many([call(number) for number in range(600)])
                await note.kiq_many([call(number) for number in range(600)])
        async with relaying(broker), broker.subscribe(["default"]) as subscription:
            await settle(subscription, await collect(subscription, 600))
        depth = await home.depth()
        assert depth.ready + depth.delayed + depth.leased == 600


async def test_what_is_cancelled_in_the_outbox_is_never_moved(home: Database, redis_url: str, redis_prefix: str) -> None:
    results = RedisResultBackend(redis_url, prefix=redis_prefix)
    async with RedisBroker(redis_url, results, prefix=redis_prefix).with_outbox(home.broker) as broker:

        @broker.task
        async def note(text: str) -> None: ...

        async with home.transaction() as connection:
            with broker.within(connection):
                kept, gone = await note.kiq_many([call("kept"), call("gone")])
        assert await gone.cancel("not wanted") == "removed"
        async with relaying(broker):
            await emptied(home)
        assert ids_of(broker, await whats_there(broker)) == [kept.task_id]
        with pytest.raises(TaskCancelledError, match="not wanted"):
            await gone


async def test_one_id_in_two_outboxes_and_among_the_databases_own_tasks(home: Database, tmp_path: Path) -> None:
    mail, bill = (
        SQLiteBroker(tmp_path / f"{name}.db").with_outbox(home.broker, queue=f"outbox.{name}") for name in ("mail", "bill")
    )
    async with mail, bill:
        async with home.transaction() as connection:
            for broker in (home.broker, mail, bill):
                with broker.within(connection):
                    await broker.kicker("note").with_task_id("order-42").kiq()
        assert mail.outbox is not None
        assert await mail.outbox.discard(["order-42", "other"]) == {"order-42"}
        async with relaying(bill), bill.subscribe(["default"]) as subscription:
            taken = await collect(subscription, 1)
            assert ids_of(bill, taken) == ["order-42"]
            await settle(subscription, taken)
        assert ids_of(home.broker, await whats_there(home.broker)) == ["order-42"]


async def test_what_is_no_entry_is_buried(home: Database, broker: RedisBroker) -> None:
    await home.broker.kick_many(messages(1, queue=OUTBOX_QUEUE))
    async with relaying(broker):
        await emptied(home)
    (letter,) = await home.broker.admin.dead_letters()
    assert letter.reason.startswith("not passed on: The message cannot be decoded: no entry of an outbox")


async def test_workers_relay_unless_they_are_told_not_to(home: Database, broker: RedisBroker) -> None:
    ran: list[str] = []
    stop = anyio.Event()

    @broker.task
    async def note(text: str) -> None:
        ran.append(text)
        stop.set()

    async with home.transaction() as connection:
        with broker.within(connection):
            await note.kiq("a")
    await Worker(broker, burst=True, relay=False).serve()
    assert (await home.depth()).ready == 1
    async with anyio.create_task_group() as group:
        worker = Worker(broker)
        group.start_soon(worker.serve)
        await stop.wait()
        worker.stop()
    await home.broker.startup()
    async with home.transaction() as connection:
        with broker.within(connection):
            await note.kiq("b")
    await Worker(broker, burst=True).serve()
    assert ran == ["a", "b"]
