"""Laws about holders that die, or seem to."""

import unittest

import anyio
import anyio.to_thread

from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.delivery import Delivery, Verdict
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    SLACK,
    BrokerSuite,
    bodies,
    collect,
    messages,
    nothing_comes,
    settle,
    take_one,
    whats_there,
)
from taskiq_core.testing.suite import law


class LeaseLaws(BrokerSuite):
    """Leases end, are renewed, and fence off who lost them."""

    @law()
    async def test_the_lease_is_declared(self, broker: AsyncBroker) -> None:
        """`Capability.LEASE` is claimed exactly where subscriptions state the seconds of their lease."""
        async with broker.subscribe(DEFAULT) as subscription:
            claimed = Capability.LEASE in broker.capabilities
            assert claimed == (subscription.lease is not None), f"claimed: {claimed}, lease: {subscription.lease}"
            if claimed:
                assert type(subscription).extend is not Subscription.extend, "a lease that nobody can renew"

    @law(Capability.LEASE, short_lease=True)
    async def test_an_orphan_comes_back_when_its_lease_ends(self, broker: AsyncBroker) -> None:
        """An unsettled delivery goes to another when the lease ends, not before, on an idle system, and counts a death."""
        sent = messages(3)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as dead, broker.subscribe(DEFAULT) as alive:
            begin = anyio.current_time()
            await collect(dead, 3)
            back = await collect(alive, 3)
            waited = anyio.current_time() - begin
            assert waited >= seconds(dead) - SLACK, f"taken away after {waited:.3f} s of a lease of {dead.lease} s"
            assert bodies(back) == bodies(sent)
            assert [item.deaths for item in back] == [1, 1, 1]
            await settle(alive, back)

    @law(Capability.LEASE, short_lease=True)
    async def test_extending_keeps(self, broker: AsyncBroker) -> None:
        """A delivery whose lease is extended in time stays with its holder as long as that goes on."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            held = await collect(holder, 2)
            for _ in range(5):  # a machine that stalls for a whole lease proves nothing: begin again
                if await _extended_in_time(holder, held, other, rounds=9):
                    break
                await settle(holder, held, Verdict.RELEASE)
                held = await collect(holder, 2)
            await settle(holder, held)
        assert await whats_there(broker) == []

    @law(Capability.LEASE, short_lease=True)
    async def test_only_what_is_extended_is_kept(self, broker: AsyncBroker) -> None:
        """A delivery that is not extended comes back, although its holder extends another, and without a word of that one."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            kept, left = await collect(holder, 2)
            back: list[Delivery] = []
            for _ in range(5):  # a machine that stalls for a whole lease proves nothing: begin again
                back, on_time = await _come_back_beside(holder, kept, other)
                if on_time:
                    break
                await settle(other, back, Verdict.RELEASE)
                await settle(holder, [kept], Verdict.RELEASE)
                kept, left = await collect(holder, 2)
            assert bodies(back) == [left.body]
            await settle(holder, [kept])
            await settle(other, back)
        assert await whats_there(broker) == []

    @law(Capability.LEASE, short_lease=True)
    async def test_extend_reports_what_is_lost(self, broker: AsyncBroker) -> None:
        """`extend` returns those deliveries that have gone to somebody else, or are settled, and no others."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as slow, broker.subscribe(DEFAULT) as other:
            lost = await collect(slow, 2)
            await settle(other, await collect(other, 2))
            await broker.kick_many(messages(1))
            kept = await take_one(slow)
            reported = await slow.extend([*lost, kept])
            assert [item in reported for item in (*lost, kept)] == [True, True, False]
            await settle(slow, [kept])

    @law(Capability.LEASE, short_lease=True)
    async def test_a_lost_lease_gives_no_say(self, broker: AsyncBroker) -> None:
        """A verdict on a delivery that went to somebody else changes nothing for its new holder."""
        sent = messages(3)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as slow:
            stale = await collect(slow, 3)
            async with broker.subscribe(DEFAULT) as fresh:
                await collect(fresh, 3)
                for delivery, verdict in zip(stale, (Verdict.ACK, Verdict.REJECT, Verdict.RETRY), strict=True):
                    await settle(slow, [delivery], verdict, body=b"stale" if verdict is Verdict.RETRY else None)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law(Capability.LEASE, short_lease=True)
    async def test_what_is_settled_stays_settled(self, broker: AsyncBroker) -> None:
        """An acknowledged message does not come back when its lease would have ended."""
        await broker.kick_many(messages(3))
        async with broker.subscribe(DEFAULT) as subscription:
            await settle(subscription, await collect(subscription, 3))
            await nothing_comes(subscription, 1.5 * seconds(subscription))

    @law(Capability.LEASE, short_lease=True)
    async def test_a_thread_can_extend(self, broker: AsyncBroker) -> None:
        """Where `extend_from_thread` says True from a plain thread, the leases are renewed."""
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            held = [await take_one(holder)]
            if not await anyio.to_thread.run_sync(holder.extend_from_thread, held):
                msg = "the plugin cannot extend from a thread"
                raise unittest.SkipTest(msg)
            await anyio.sleep(0.3 * seconds(holder))
            before = anyio.current_time()
            assert await anyio.to_thread.run_sync(holder.extend_from_thread, held)
            back = await take_one(other)
            assert anyio.current_time() - before >= seconds(holder) - SLACK
            await settle(other, [back])

    @law(Capability.LEASE, short_lease=True)
    async def test_the_forgotten_come_back_without_a_death(self, broker: AsyncBroker) -> None:
        """What its holder forgot comes back when the lease ends, as nobody's death; of what it holds, the end is one."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            if type(holder).forget is Subscription.forget:
                msg = "for the plugin every end of a lease is a death"
                raise unittest.SkipTest(msg)
            forgotten, held = await collect(holder, 2)
            holder.forget([forgotten])
            back = await collect(other, 2)
            assert {item.body: item.deaths for item in back} == {forgotten.body: 0, held.body: 1}
            await settle(other, back)

    @law(Capability.ACK)
    async def test_leaving_gives_back_the_forgotten(self, broker: AsyncBroker) -> None:
        """Leaving a subscription gives back at once what was forgotten, like what is held, and counts no death."""
        sent = messages(2)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as holder:
            holder.forget([(await collect(holder, 2))[0]])
        back = await whats_there(broker)
        assert bodies(back) == bodies(sent)
        assert [item.deaths for item in back] == [0, 0]

    @law(Capability.ACK)
    async def test_the_buried_give_back_at_once(self, broker: AsyncBroker) -> None:
        """`bury` brings back at once what the dead held, with a death each, and names the accused."""
        sent = messages(3)
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as dead, broker.subscribe(DEFAULT) as heir:
            if type(heir).bury is Subscription.bury:
                msg = "the plugin leaves the dead to their leases"
                raise unittest.SkipTest(msg)
            assert dead.consumer, "a subscription that can be buried needs a name"
            assert dead.consumer != heir.consumer, "two subscriptions under one name"
            held = await collect(dead, 3)
            await heir.bury(dead.consumer, {sent[1].task_id})
            back = await collect(heir, 3)
            assert bodies(back) == bodies(held)
            assert [item.deaths for item in back] == [1, 1, 1]
            assert [item.body for item in back if item.accused] == [sent[1].message]
            await settle(dead, held)
            await settle(heir, back, Verdict.RELEASE)
        assert bodies(await whats_there(broker)) == bodies(sent)


def seconds(subscription: Subscription) -> float:
    """The lease, which there is."""
    assert subscription.lease is not None
    return subscription.lease


async def _extended_in_time(holder: Subscription, held: list[Delivery], other: Subscription, rounds: int) -> bool:
    """Extend every third of a lease while `other` watches; False if this machine was too slow to tell."""
    lease = seconds(holder)
    last = anyio.current_time()
    for _ in range(rounds):
        stolen: list[Delivery] = []
        with anyio.move_on_after(lease / 3):
            while not stolen:
                stolen += await other.receive(10)
        lost = await holder.extend(held)
        now = anyio.current_time()
        if now - last > 0.8 * lease:
            await settle(other, stolen, Verdict.RELEASE)
            return False
        assert not stolen, "delivered to another although it was extended in time"
        assert not lost, "reported as lost although it was extended in time"
        last = now
    return True


async def _come_back_beside(holder: Subscription, kept: Delivery, other: Subscription) -> tuple[list[Delivery], bool]:
    """Extend one delivery until `other` gets something; False if this machine was too slow to tell."""
    back: list[Delivery] = []
    gaps: list[float] = []

    async def keep() -> None:
        while True:
            begin = anyio.current_time()
            await anyio.sleep(seconds(holder) / 4)
            await holder.extend([kept])
            gaps.append(anyio.current_time() - begin)

    async with anyio.create_task_group() as group:
        group.start_soon(keep)
        back.append(await take_one(other))
        group.cancel_scope.cancel()
    return back, max(gaps) < 0.8 * seconds(holder)
