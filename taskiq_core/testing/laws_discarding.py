"""Laws about taking messages out of their queues."""

import anyio
import anyio.lowlevel

from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import Delivery, Verdict
from taskiq_core.ids import new_task_id
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
from taskiq_core.testing.laws_parking import park
from taskiq_core.testing.suite import law

_NEEDS = Capability.DISCARD | Capability.DEAD_LETTER


class DiscardingLaws(BrokerSuite):
    """What waits can be removed by its id, and nothing else is."""

    @law(_NEEDS)
    async def test_discard_removes_what_is_ready(self, broker: AsyncBroker) -> None:
        """`discard` removes the messages with these ids and says whose those were; unknown ids are not in the answer."""
        sent = messages(5)
        await broker.kick_many(sent)
        ids = [message.task_id for message in sent]
        assert await admin_of(broker).discard([]) == frozenset()
        assert await admin_of(broker).discard([*ids[1:3], new_task_id()]) == frozenset(ids[1:3])
        assert await admin_of(broker).discard(ids[1:3]) == frozenset()
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=3)
        assert bodies(await whats_there(broker)) == bodies([sent[0], *sent[3:]])

    @law(_NEEDS | Capability.DELAY)
    async def test_discard_removes_the_delayed(self, broker: AsyncBroker) -> None:
        """Messages that are not due are removed too, sent with a delay or given back with one."""
        late, retried, kept = messages(1, delay=0.4), messages(1), messages(1, delay=0.4)
        await broker.kick_many([*late, *retried, *kept])
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, [await take_one(subscription)], Verdict.RETRY, delay=0.4)
            gone = [late[0].task_id, retried[0].task_id]
            assert await admin_of(broker).discard(gone) == frozenset(gone)
            assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(delayed=1)
            taken = await collect(subscription, 1)
            assert bodies(taken) == bodies(kept)
            await nothing_comes(subscription)
            await settle(subscription, taken)

    @law(_NEEDS | Capability.QUEUES)
    async def test_discard_looks_into_every_queue(self, broker: AsyncBroker) -> None:
        """One call removes messages of several queues, and of one that is paused; the pause stays."""
        sent = [messages(2, queue=queue) for queue in ("one", "two", "three")]
        await broker.kick_many([message for pair in sent for message in pair])
        await admin_of(broker).pause("three")
        gone = frozenset(pair[0].task_id for pair in sent)
        assert await admin_of(broker).discard(gone) == gone
        assert await admin_of(broker).paused() == {"three"}
        await admin_of(broker).resume("three")
        assert bodies(await whats_there(broker, ["one", "two", "three"])) == bodies([pair[1] for pair in sent])

    @law(_NEEDS)
    async def test_discard_leaves_what_workers_hold(self, broker: AsyncBroker) -> None:
        """What is held is not in the answer, and its holder settles it as ever; once it is given back it can be discarded."""
        await broker.kick_many(messages(4))
        admin = admin_of(broker)
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 4)
            ids = [item.body.decode() for item in held]
            assert await admin.discard(ids) == frozenset()
            assert not await subscription.extend(held)
            await settle(subscription, held[:1])
            await settle(subscription, held[1:2], Verdict.REJECT, reason="bad")
            await settle(subscription, held[2:3], Verdict.RETRY, body=b"again")
            await settle(subscription, held[3:], Verdict.RELEASE)
            assert await admin.discard([*ids[:2], ids[3]]) == {ids[3]}
            back = await collect(subscription, 1)
            assert bodies(back) == [b"again"]
            assert await admin.discard(ids) == frozenset()
            await settle(subscription, back)
        assert [letter.body for letter in await admin.dead_letters()] == [held[1].body]
        assert await whats_there(broker) == []

    @law(_NEEDS)
    async def test_a_discarded_id_may_be_sent_again(self, broker: AsyncBroker) -> None:
        """Its place is free at once: what is sent under the same id runs, with the new body, in its queue."""
        sent = messages(2)
        await broker.kick_many(sent)
        for round_ in range(3):
            assert await admin_of(broker).discard([sent[0].task_id]) == {sent[0].task_id}
            again = sent[0].model_copy(update={"message": b"round %d" % round_})
            await broker.kick_many([again])
        back = await whats_there(broker)
        assert bodies(back) == sorted([b"round 2", sent[1].message])
        assert [item.deaths for item in back] == [0, 0]

    @law(_NEEDS | Capability.PARK)
    async def test_discard_removes_the_parked(self, broker: AsyncBroker) -> None:
        """A parked message is removed, and those behind it move up: a call is for them, and the next has its time."""
        await broker.kick_many(messages(4))
        async with broker.subscribe(DEFAULT) as subscription:
            first, second, third, fourth = await collect(subscription, 4)
            await park(subscription, [first, second], "slot")
            await park(subscription, [third, fourth], "another slot", delay=0.5)
            gone = {first.body.decode(), third.body.decode()}
            assert await admin_of(broker).discard(gone) == gone
            await subscription.unpark({"slot": 1})
            assert (await take_one(subscription)).body == second.body
            assert (await take_one(subscription)).body == fourth.body
            await nothing_comes(subscription)
        assert bodies(await whats_there(broker)) == bodies([second, fourth])

    @law(_NEEDS)
    async def test_each_is_received_or_discarded(self, broker: AsyncBroker) -> None:
        """While workers receive, each message goes to a worker or into the answer of `discard`: never both, never neither."""
        sent = messages(300)
        received: list[Delivery] = []
        discarded: list[str] = []

        async def work() -> None:
            async with broker.subscribe(DEFAULT) as subscription:
                while True:
                    taken = await subscription.receive(3)
                    received.extend(taken)
                    await anyio.lowlevel.checkpoint()
                    await settle(subscription, taken)

        await broker.kick_many(sent)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(work)
            # From the end: workers meet the discarded in the middle.
            for start in range(len(sent), 0, -10):
                part = [message.task_id for message in sent[start - 10 : start]]
                discarded += await admin_of(broker).discard(part)
                await anyio.lowlevel.checkpoint()
            while len(received) + len(discarded) < len(sent):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        both = [item.body.decode() for item in received] + discarded
        assert len(both) == len(set(both)), "a message was received twice, or received and discarded"
        assert await whats_there(broker) == []
