"""Laws about taking what waits out of a queue, for another broker."""

import unittest
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel

from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.delivery import Verdict
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    SLACK,
    BrokerSuite,
    admin_of,
    bodies,
    collect,
    messages,
    nothing_comes,
    settle,
    take_one,
)
from taskiq_core.testing.laws_parking import park
from taskiq_core.testing.suite import law

_NEEDS = Capability.EVACUATE | Capability.DEAD_LETTER
_LONG = 60.0


class EvacuationLaws(BrokerSuite):
    """What waits can be carried away: all of it, each message once, and the rest is as it was."""

    @law(_NEEDS)
    async def test_an_evacuation_shows_what_waits(self, broker: AsyncBroker) -> None:
        """`next` has the messages as they were sent, in their order, no more than its limit at a time, each once."""
        sent = messages(7)
        await broker.kick_many(sent)
        async with self.evacuating(broker) as evacuation:
            pages = [await evacuation.next(3) for _ in range(4)]
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        shown = [item for page in pages for item in page]
        assert [item.task_id for item in shown] == [message.task_id for message in sent]
        for item, message in zip(shown, sent, strict=True):
            told = item.body, item.queue, item.priority, item.delay
            assert told == (message.message, DEFAULT_QUEUE, DEFAULT_PRIORITY, None)

    @law(_NEEDS | Capability.PRIORITY)
    async def test_an_evacuation_follows_priorities(self, broker: AsyncBroker) -> None:
        """The highest priority is first, and within each the oldest; each message tells its own."""
        sent = [messages(1, priority=level)[0] for level in (3, 9, 0, 3, 9)]
        await broker.kick_many(sent)
        async with self.evacuating(broker) as evacuation:
            shown = await everything(evacuation, limit=2)
        in_order = [sent[place] for place in (1, 4, 0, 3, 2)]
        assert [(item.body, item.priority) for item in shown] == [(item.message, item.priority) for item in in_order]

    @law(_NEEDS | Capability.DELAY)
    async def test_an_evacuation_tells_what_is_left_of_delays(self, broker: AsyncBroker) -> None:
        """What is not due is shown with the seconds that remain, sent with a delay or given back with one and a new body."""
        late = messages(1, delay=_LONG)
        await broker.kick_many([*late, *messages(1)])
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, [await take_one(subscription)], Verdict.RETRY, delay=_LONG, body=b"again")
        await anyio.sleep(0.3)
        async with self.evacuating(broker) as evacuation:
            shown = await everything(evacuation)
        assert sorted(item.body for item in shown) == sorted([late[0].message, b"again"])
        for item in shown:
            assert item.delay is not None, "a delayed message is shown as one that is ready"
            assert _LONG - self.deadline < item.delay < _LONG - 0.3 + SLACK

    @law(_NEEDS | Capability.PARK)
    async def test_an_evacuation_shows_the_parked(self, broker: AsyncBroker) -> None:
        """Parked messages wait too; those that are not removed keep their places in their lines."""
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            first, second, third, other, ready = await collect(subscription, 5)
            await park(subscription, [first, second, third], "slot")
            await park(subscription, [other], "another slot")
            await settle(subscription, [ready], Verdict.RELEASE)
            async with self.evacuating(broker) as evacuation:
                shown = await everything(evacuation)
                assert sorted(item.body for item in shown) == bodies([first, second, third, other, ready])
                assert {item.delay for item in shown} == {None}
                await evacuation.remove([item for item in shown if item.body in (first.body, ready.body)])
            await subscription.unpark({"slot": 1})
            assert (await take_one(subscription)).body == second.body
            await subscription.unpark({"slot": 1, "another slot": 1})
            assert bodies(await collect(subscription, 2)) == bodies([third, other])
            await nothing_comes(subscription)

    @law(_NEEDS)
    async def test_an_evacuation_leaves_what_workers_hold(self, broker: AsyncBroker) -> None:
        """What is held is not shown and its holder settles it as ever; what it gives back is shown by a later `next`."""
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            done, again, released, kept = await collect(subscription, 4)
            async with self.evacuating(broker) as evacuation:
                waiting = await everything(evacuation)
                assert len(waiting) == 1, "what is held is shown"
                assert not await subscription.extend([done, again, released, kept])
                await settle(subscription, [done])
                await settle(subscription, [again], Verdict.RETRY, body=b"again")
                await settle(subscription, [released], Verdict.RELEASE)
                back = await everything(evacuation)
                assert sorted(item.body for item in back) == sorted([b"again", released.body])
                await evacuation.remove([*waiting, *back])
            assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(leased=1)
            await settle(subscription, [kept])
            await nothing_comes(subscription)

    @law(_NEEDS)
    async def test_what_is_removed_is_gone(self, broker: AsyncBroker) -> None:
        """Nobody gets it any more, removing it again does nothing, and its id may be sent again."""
        sent = messages(4)
        await broker.kick_many(sent)
        async with self.evacuating(broker) as evacuation:
            shown = await everything(evacuation)
            await evacuation.remove([])
            await evacuation.remove(shown[:3])
            await evacuation.remove(shown[:3])
            again = sent[0].model_copy(update={"message": b"again"})
            await broker.kick_many([again])
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=2)
        async with broker.subscribe(DEFAULT) as subscription:
            back = await collect(subscription, 2)
            assert bodies(back) == bodies([sent[3], again])
            await settle(subscription, back)
            await nothing_comes(subscription)

    @law(_NEEDS | Capability.DELAY)
    async def test_what_is_not_removed_stays_as_it_was(self, broker: AsyncBroker) -> None:
        """After an evacuation, also one that failed, the ready come in their order and the delayed when they are due."""
        sent, late = messages(4), messages(2, delay=1.0)
        await broker.kick_many([*sent, *late])
        with suppress(_BrokenOffError):
            async with self.evacuating(broker) as evacuation:
                shown = await everything(evacuation)
                await evacuation.remove([item for item in shown if item.body in (sent[1].message, late[1].message)])
                raise _BrokenOffError
        async with broker.subscribe(DEFAULT) as subscription:
            back = [await take_one(subscription) for _ in range(4)]
            assert [item.body for item in back] == [sent[0].message, sent[2].message, sent[3].message, late[0].message]
            assert {item.deaths for item in back} == {0}
            await settle(subscription, back)
            await nothing_comes(subscription)

    @law(_NEEDS)
    async def test_what_comes_meanwhile_is_shown(self, broker: AsyncBroker) -> None:
        """A call that finds nothing returns at once, and a later one has what was sent since, but nothing twice."""
        async with self.evacuating(broker) as evacuation:
            assert not await evacuation.next(10)
            sent = messages(3)
            for message in sent:
                await broker.kick_many([message])
                assert [item.body for item in await everything(evacuation)] == [message.message]
            assert not await evacuation.next(10)
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth(ready=3)

    @law(_NEEDS | Capability.QUEUES)
    async def test_an_evacuation_is_of_one_queue(self, broker: AsyncBroker) -> None:
        """Other queues are not shown, and their workers go on."""
        mine, others = messages(2, queue="one"), messages(2, queue="two")
        await broker.kick_many([*others, *mine])
        async with self.evacuating(broker, "one") as evacuation, broker.subscribe(["one", "two"]) as subscription:
            shown = await everything(evacuation)
            assert [(item.body, item.queue) for item in shown] == [(message.message, "one") for message in mine]
            taken = await collect(subscription, 2)
            assert bodies(taken) == bodies(others)
            await settle(subscription, taken)
            await evacuation.remove(shown)
        assert await admin_of(broker).depth("one") == QueueDepth()

    @law(_NEEDS | Capability.CROSS_PROCESS, shared=True)
    async def test_an_evacuation_that_breaks_off_loses_nothing(self, broker: AsyncBroker) -> None:
        """When its process is gone, what was shown and not removed is shown to the next, and what was removed is not."""
        sent = messages(6)
        await broker.kick_many(sent)
        await self.pause(broker)
        another = await self.another()
        broken = admin_of(another).evacuate(DEFAULT_QUEUE)
        await broken.__aenter__()
        await broken.remove((await broken.next(4))[:2])
        await another.shutdown()
        async with admin_of(broker).evacuate(DEFAULT_QUEUE) as evacuation:
            shown: list[Waiting] = []
            while len(shown) < 4:  # the server may need a moment to see that the other is gone
                shown += await everything(evacuation)
            assert sorted(item.body for item in shown) == bodies(sent[2:])
            await evacuation.remove(shown)
        assert await admin_of(broker).depth(DEFAULT_QUEUE) == QueueDepth()

    @law(_NEEDS)
    async def test_an_evacuation_of_many(self, broker: AsyncBroker) -> None:
        """Of many, moved page by page while some are left behind, each is shown once."""
        sent = messages(1000)
        await broker.kick_many(sent)
        async with self.evacuating(broker) as evacuation:
            shown: list[Waiting] = []
            while page := await evacuation.next(70):
                await evacuation.remove(page[3:])
                shown += page
                assert len(shown) <= len(sent), "a message was shown twice"
        assert sorted(item.body for item in shown) == bodies(sent)
        assert (await admin_of(broker).depth(DEFAULT_QUEUE)).ready == 3 * 15

    @law(_NEEDS | Capability.QUEUES | Capability.DELAY)
    async def test_queues_are_named(self, broker: AsyncBroker) -> None:
        """Queues with anything in them, and those that are paused, are named: without the application's help."""
        admin = admin_of(broker)
        if await admin.queues() is None:
            msg = "the broker cannot name its queues"
            raise unittest.SkipTest(msg)
        await broker.kick_many(
            [*messages(1, queue="ready"), *messages(1, queue="late", delay=_LONG), *messages(1, queue="held")]
        )
        await admin.pause("paused")
        async with broker.subscribe(["held"]) as subscription:
            await take_one(subscription)
            assert await admin.queues() == frozenset({"ready", "late", "held", "paused"})

    @asynccontextmanager
    async def evacuating(self, broker: AsyncBroker, queue: str = DEFAULT_QUEUE) -> AsyncGenerator[Evacuation]:
        """An evacuation of a queue that is paused meanwhile."""
        await self.pause(broker, queue)
        try:
            async with admin_of(broker).evacuate(queue) as evacuation:
                yield evacuation
        finally:
            await admin_of(broker).resume(queue)


class _BrokenOffError(Exception):
    """Something that goes wrong while messages are moved."""


async def everything(evacuation: Evacuation, limit: int = 100) -> Sequence[Waiting]:
    """All that is still to be shown."""
    shown: list[Waiting] = []
    while page := await evacuation.next(limit):
        assert len(page) <= limit
        shown += page
        assert len({item.task_id for item in shown}) == len(shown), "a message was shown twice"
    await anyio.lowlevel.checkpoint()  # the deadline strikes who asks again and again
    return shown
