"""Laws about receiving and leaving."""

import random
from collections import Counter

import anyio
import anyio.lowlevel

from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.delivery import Delivery
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    BrokerSuite,
    bodies,
    claims,
    collect,
    messages,
    nothing_comes,
    settle,
    take_one,
    whats_there,
)
from taskiq_core.testing.suite import law


class ReceivingLaws(BrokerSuite):
    """What `receive` takes, and what becomes of it without a verdict."""

    @law()
    async def test_receive_never_exceeds_its_limit(self, broker: AsyncBroker) -> None:
        """`receive(limit)` returns at most `limit` deliveries, however many are waiting."""
        sent = messages(40)
        await broker.kick_many(sent)
        taken: list[Delivery] = []
        async with broker.subscribe(DEFAULT) as subscription:
            while len(taken) < len(sent):
                for limit in (1, 3, 7):
                    batch = await subscription.receive(limit) if len(taken) < len(sent) else ()
                    assert len(batch) <= limit, f"receive({limit}) returned {len(batch)}"
                    taken += batch
                    await anyio.lowlevel.checkpoint()
            await settle(subscription, taken)
        assert bodies(taken) == bodies(sent)

    @law(Capability.ACK)
    async def test_what_one_holds_no_other_gets(self, broker: AsyncBroker) -> None:
        """An unsettled delivery belongs to its holder alone."""
        sent = messages(4)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as first, broker.subscribe(DEFAULT) as second:
            taken = [await take_one(first), await take_one(first)]
            others = await collect(second, 2)
            assert bodies([*taken, *others]) == bodies(sent)
            await nothing_comes(second)
            await settle(first, taken)
            await settle(second, others)

    @law(Capability.ACK)
    async def test_leaving_gives_back_at_once(self, broker: AsyncBroker) -> None:
        """What a subscription held when it was left is delivered to others at once, and no death is counted."""
        sent = messages(6)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as first:
            taken = await collect(first, 6)
            await settle(first, taken[:2])
        back = await whats_there(broker)
        assert bodies(back) == bodies(taken[2:])
        assert [item.deaths for item in back] == [0] * 4

    @law(Capability.ACK)
    async def test_leaving_by_cancellation_gives_back_too(self, broker: AsyncBroker) -> None:
        """A subscription that is left because its task was cancelled gives back what it held."""
        sent = messages(3)
        await broker.kick_many(sent)
        with anyio.CancelScope() as scope:
            async with broker.subscribe(DEFAULT) as first:
                await collect(first, 2)
                scope.cancel()
                await anyio.sleep_forever()
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law(Capability.ACK)
    async def test_deliveries_are_counted(self, broker: AsyncBroker) -> None:
        """Where a broker counts deliveries, the first is 1 and the next is 2."""
        await broker.kick_many(messages(1))
        seen: list[int | None] = []
        for _ in range(2):
            async with broker.subscribe(DEFAULT) as subscription:
                seen.append((await take_one(subscription)).attempt)
        assert seen in ([1, 2], [None, None])

    @law()
    async def test_cancelling_receive_loses_and_doubles_nothing(self, broker: AsyncBroker) -> None:
        """However often and whenever `receive` is cancelled, every message is delivered, once, and without a death."""
        sent, taken, chance = messages(300), list[Delivery](), random.Random(3)
        async with broker.subscribe(DEFAULT) as subscription, anyio.create_task_group() as group:
            group.start_soon(_trickle, broker, sent, random.Random(4))
            for attempt in range(200):
                await _receive_cancelled(subscription, taken, chance, by_time=attempt % 2 == 0)
            last = await collect(subscription, len(sent) - len(taken))
            taken += last
            await settle(subscription, last)
            await nothing_comes(subscription)
        counts = Counter(item.body for item in taken)
        assert [body for body, count in counts.items() if count > 1] == [], "delivered twice"
        assert bodies(taken) == bodies(sent)
        assert {item.deaths for item in taken} == {0}

    @law()
    async def test_concurrent_consumers_share_without_doubles(self, broker: AsyncBroker) -> None:
        """Of a thousand messages and eight subscriptions, every message goes to one of them, once."""
        sent, taken = messages(1000), list[Delivery]()
        brokers = [broker, await self.another()] if claims(broker, Capability.CROSS_PROCESS) else [broker]
        complete = anyio.Event()
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(_consume, brokers[number % len(brokers)], taken, len(sent), complete)
            for start in range(0, len(sent), 100):
                await broker.kick_many(sent[start : start + 100])
            await complete.wait()
            group.cancel_scope.cancel()
        assert bodies(taken) == bodies(sent)
        assert await whats_there(broker) == []


async def _trickle(broker: AsyncBroker, sent: list[BrokerMessage], chance: random.Random) -> None:
    start = 0
    while start < len(sent):
        size = chance.randint(1, 5)
        await broker.kick_many(sent[start : start + size])
        start += size
        await anyio.sleep(chance.random() * 0.004)


async def _receive_cancelled(
    subscription: Subscription, taken: list[Delivery], chance: random.Random, *, by_time: bool
) -> None:
    batch: list[Delivery] = []
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            if by_time:
                await anyio.sleep(chance.random() * 0.004)
            else:
                for _ in range(chance.randrange(8)):
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

        group.start_soon(cancel)
        batch.extend(await subscription.receive(chance.randint(1, 4)))
        group.cancel_scope.cancel()
    taken += batch
    await settle(subscription, batch)


async def _consume(broker: AsyncBroker, taken: list[Delivery], expected: int, complete: anyio.Event) -> None:
    async with broker.subscribe(DEFAULT) as subscription:
        while True:
            batch = await subscription.receive(16)
            with anyio.CancelScope(shield=True):
                await settle(subscription, batch)
            taken += batch
            if len(taken) >= expected:
                complete.set()
            await anyio.lowlevel.checkpoint()
