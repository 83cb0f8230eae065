"""Laws about paused queues."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import Delivery, Verdict
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    BrokerSuite,
    admin_of,
    bodies,
    collect,
    messages,
    nothing_comes,
    settle,
    take_one,
    whats_there,
)
from taskiq_core.testing.suite import law

QUIET = 0.2
"""Seconds in which a delivery that should not be would have come."""


class PausingLaws(BrokerSuite):
    """A paused queue takes and keeps, and gives nothing."""

    @law(Capability.DEAD_LETTER)
    async def test_a_paused_queue_keeps_and_delivers_nothing(self, broker: AsyncBroker) -> None:
        """What was in a queue when it was paused, and what is sent to it then, reaches nobody before it is resumed."""
        sent = messages(4)
        await broker.kick_many(sent[:2])
        await self.pause(broker)
        await broker.kick_many(sent[2:])
        async with broker.subscribe(DEFAULT) as subscription:
            await nothing_comes(subscription, QUIET)
            assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=4)
            await admin_of(broker).resume(DEFAULT_QUEUE)
            taken = await collect(subscription, 4)
            assert bodies(taken) == bodies(sent)
            assert [item.attempt for item in taken] == [1, 1, 1, 1]
            await settle(subscription, taken)

    @law(Capability.DEAD_LETTER)
    async def test_a_pause_reaches_who_waits(self, broker: AsyncBroker) -> None:
        """A receiver that waited before the pause gets nothing either, and is woken when the queue is resumed."""
        async with broker.subscribe(DEFAULT) as subscription, _receiving(subscription, 2) as taken:
            await self.pause(broker)
            sent = messages(2)
            await broker.kick_many(sent)
            await anyio.sleep(QUIET)
            assert not taken, "received from a paused queue"
            await admin_of(broker).resume(DEFAULT_QUEUE)
        assert bodies(taken) == bodies(sent)

    @law(Capability.DEAD_LETTER)
    async def test_a_pause_spares_what_workers_hold(self, broker: AsyncBroker) -> None:
        """What a worker holds it extends and settles; what it gives back, also by leaving, waits in the queue."""
        sent = messages(5)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            done, dead, again, released, left = await collect(holder, 5)
            await self.pause(broker)
            assert not await holder.extend([done, dead, again, released, left])
            await settle(holder, [done])
            await settle(holder, [dead], Verdict.REJECT, reason="bad")
            await settle(holder, [again], Verdict.RETRY, body=b"again")
            await settle(holder, [released], Verdict.RELEASE)
            await nothing_comes(other, QUIET)
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=3)
        assert [letter.body for letter in await admin_of(broker).dead_letters()] == [dead.body]
        assert bodies(await self.resumed(broker, 3)) == sorted([b"again", released.body, left.body])

    @law(Capability.DEAD_LETTER | Capability.DELAY)
    async def test_what_falls_due_waits_in_a_paused_queue(self, broker: AsyncBroker) -> None:
        """A delayed message that falls due while its queue is paused comes as soon as it is resumed."""
        sent = messages(2, delay=0.3)
        await self.pause(broker)
        async with broker.subscribe(DEFAULT) as subscription:
            await broker.kick_many(sent)
            await nothing_comes(subscription, 0.3 + QUIET)
        assert bodies(await self.resumed(broker, 2)) == bodies(sent)

    @law(Capability.DEAD_LETTER | Capability.QUEUES)
    async def test_only_the_queue_named_is_paused(self, broker: AsyncBroker) -> None:
        """Who receives from several queues goes on with the others."""
        one, two = messages(3, queue="one", priority=9), messages(3, queue="two")
        await self.pause(broker, "one")
        await broker.kick_many([*one, *two])
        async with broker.subscribe(["one", "two"]) as subscription:
            others = await collect(subscription, 3)
            assert bodies(others) == bodies(two)
            await nothing_comes(subscription, QUIET)
            await admin_of(broker).resume("one")
            back = await collect(subscription, 3)
            assert bodies(back) == bodies(one)
            await settle(subscription, [*others, *back])

    @law(Capability.DEAD_LETTER)
    async def test_pauses_are_listed(self, broker: AsyncBroker) -> None:
        """`paused` names each paused queue, used or not; pausing and resuming again change nothing."""
        admin = admin_of(broker)
        assert await admin.paused() == frozenset()
        for queue in ("not used yet", DEFAULT_QUEUE, DEFAULT_QUEUE):
            await admin.pause(queue)
        assert await admin.paused() == {"not used yet", DEFAULT_QUEUE}
        for queue in (DEFAULT_QUEUE, "never paused", DEFAULT_QUEUE):
            await admin.resume(queue)
            assert await admin.paused() == {"not used yet"}
        sent = messages(1)
        await broker.kick_many(sent)
        assert bodies(await self.resumed(broker, 1)) == bodies(sent)

    @law(Capability.DEAD_LETTER)
    async def test_paused_queues_are_administered(self, broker: AsyncBroker) -> None:
        """A paused queue can be counted and purged; a dead letter that is requeued waits in it; it stays paused."""
        admin = admin_of(broker)
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, [await take_one(subscription)], Verdict.REJECT, reason="bad")
            await self.pause(broker)
            await broker.kick_many(messages(2))
            assert await admin.purge(DEFAULT_QUEUE) == 2
            (letter,) = await admin.dead_letters()
            assert await admin.requeue_dead([letter.id]) == 1
            assert await admin.depth(DEFAULT_QUEUE) == QueueDepth(ready=1)
            await nothing_comes(subscription, QUIET)
        assert await admin.paused() == {DEFAULT_QUEUE}

    @law(Capability.DEAD_LETTER | Capability.DURABLE)
    async def test_pauses_outlive_their_broker(self, broker: AsyncBroker) -> None:
        """A queue is still paused after everybody has shut down and another instance has opened the store."""
        await admin_of(broker).pause(DEFAULT_QUEUE)
        await broker.shutdown()
        another = await self.another()
        await another.kick_many(messages(1))
        assert await admin_of(another).paused() == {DEFAULT_QUEUE}
        assert await whats_there(another) == []

    @law(Capability.DEAD_LETTER | Capability.CROSS_PROCESS)
    async def test_a_pause_reaches_other_instances(self, broker: AsyncBroker) -> None:
        """A receiver that waits on another instance gets nothing while this one has paused the queue, and is woken."""
        sent = messages(2)
        async with (await self.another()).subscribe(DEFAULT) as subscription, _receiving(subscription, 2) as taken:
            await self.pause(broker)
            await broker.kick_many(sent)
            await anyio.sleep(QUIET)
            assert not taken, "received from a queue that another instance has paused"
            await admin_of(broker).resume(DEFAULT_QUEUE)
        assert bodies(taken) == bodies(sent)

    @law(Capability.DEAD_LETTER | Capability.CROSS_PROCESS)
    async def test_others_list_a_pause_at_once(self, broker: AsyncBroker) -> None:
        """Whatever has been paused or resumed shows on every instance, also while several ask at the same time."""
        admins = [admin_of(broker), admin_of(await self.another())]
        expected = set[str]()
        for step in range(4):
            await admins[step % 2].pause(f"queue {step}")
            expected.add(f"queue {step}")
            if step == 2:
                await admins[1].resume("queue 0")
                expected.remove("queue 0")
            lists: list[frozenset[str]] = []

            async def ask(admin: QueueAdmin, lists: list[frozenset[str]] = lists) -> None:
                lists.append(await admin.paused())

            async with anyio.create_task_group() as group:
                for admin in (*admins, *admins):
                    group.start_soon(ask, admin)
            assert lists == [expected] * 4

    async def resumed(self, broker: AsyncBroker, count: int) -> list[Delivery]:
        """Resume the default queue and take so many messages from it."""
        async with broker.subscribe(DEFAULT) as subscription:
            await admin_of(broker).resume(DEFAULT_QUEUE)
            taken = await collect(subscription, count)
            await nothing_comes(subscription, QUIET)
            await settle(subscription, taken)
        return taken


@asynccontextmanager
async def _receiving(subscription: Subscription, count: int) -> AsyncGenerator[list[Delivery]]:
    """Receive and settle `count` messages beside the body; what has come is in the list."""
    taken: list[Delivery] = []

    async def receive() -> None:
        while len(taken) < count:
            batch = await collect(subscription, 1)
            taken.extend(batch)
            await settle(subscription, batch)

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.sleep(0.05)  # long enough for the receiver to be waiting; if it is not yet, the law is still right
        yield taken
