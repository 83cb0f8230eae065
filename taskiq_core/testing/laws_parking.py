"""Laws about parked messages."""

from collections.abc import Iterable

import anyio

from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.testing.broker_tools import (
    DEFAULT,
    SLACK,
    BrokerSuite,
    admin_of,
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

LONG = 3600.0
"""Seconds after which what is parked would come back by itself."""


class ParkingLaws(BrokerSuite):
    """What is parked comes when it is called, or in its time."""

    @law(Capability.PARK)
    async def test_the_parked_come_when_they_are_called(self, broker: AsyncBroker) -> None:
        """`unpark` delivers so many of those that wait for a text, those first that wait longest; the others go on waiting."""
        await broker.kick_many(messages(4))
        async with broker.subscribe(DEFAULT) as holder:
            first, second, third, other = await collect(holder, 4)
            await park(holder, [second, third, first], "slot")
            await park(holder, [other], "another slot")
        async with broker.subscribe(DEFAULT) as subscription:
            await nothing_comes(subscription)
            await subscription.unpark({"slot": 1})
            assert (await take_one(subscription)).body == second.body
            await nothing_comes(subscription)
            await subscription.unpark({"slot": 1, "another slot": 1})
            assert bodies(await collect(subscription, 2)) == bodies([third, other])
            await nothing_comes(subscription)
        assert bodies(await whats_there(broker)) == bodies([second, third, other])

    @law(Capability.PARK)
    async def test_the_unparked_come_before_others(self, broker: AsyncBroker) -> None:
        """Who is called has waited already: it comes before what is ready in its queue, with its count of deliveries."""
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            taken = await collect(subscription, 5)
            await settle(subscription, taken[:3], Verdict.RELEASE)
            await park(subscription, taken[3:], "slot")
            await subscription.unpark({"slot": 2})
            back = await collect(subscription, 2)
            assert bodies(back) == bodies(taken[3:])
            assert [item.attempt for item in back] == [2, 2]
            await settle(subscription, back)
        assert bodies(await whats_there(broker)) == bodies(taken[:3])

    @law(Capability.PARK | Capability.LEASE, short_lease=True)
    async def test_parking_leaves_deaths_as_they_are(self, broker: AsyncBroker) -> None:
        """A message that had cost a holder its lease still has that death, and no other, after it was parked."""
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as dead, broker.subscribe(DEFAULT) as subscription:
            await take_one(dead)
            orphan = await take_one(subscription)
            await park(subscription, [orphan], "slot")
            await subscription.unpark({"slot": 1})
            back = await take_one(subscription)
            assert (orphan.deaths, back.deaths, back.attempt) == (1, 1, 3)
            await settle(subscription, [back])

    @law(Capability.PARK | Capability.QUEUES)
    async def test_all_queues_wait_in_one_line(self, broker: AsyncBroker) -> None:
        """`unpark` reaches the messages of every queue, also from a subscription that receives from none of them."""
        sent = [messages(1, queue=queue)[0] for queue in ("one", "two", "two", "one")]
        await broker.kick_many(sent)
        async with broker.subscribe(["one", "two"]) as worker, broker.subscribe(["three"]) as caller:
            line = await collect(worker, 4)
            await park(worker, line, "slot")
            await caller.unpark({"slot": 3})
            back = await collect(worker, 3)
            assert bodies(back) == bodies(line[:3])
            assert {item.body: item.queue for item in back} == {item.body: item.queue for item in line[:3]}
            await nothing_comes(worker)
            await settle(worker, back)

    @law(Capability.PARK | Capability.QUEUES | Capability.DEAD_LETTER)
    async def test_who_could_not_be_taken_is_passed_over(self, broker: AsyncBroker) -> None:
        """While others wait, `unpark` wakes nobody whose queue is paused, or has no receiver; they keep their places."""
        sent = [messages(1, queue=queue)[0] for queue in ("paused", "lonely", "served", "paused", "served")]
        await broker.kick_many(sent)
        async with broker.subscribe(["paused", "lonely", "served"]) as holder:
            taken = {item.body: item for item in await collect(holder, 5)}
            line = [taken[message.message] for message in sent]
            await park(holder, line, "slot")
        async with broker.subscribe(["paused", "served"]) as worker, broker.subscribe(["lonely"]) as retired:
            await broker.kick_many([messages(1, queue=queue)[0] for queue in ("served", "lonely")])
            await settle(worker, [await take_one(worker)])  # and so it is known to receive
            await settle(retired, [await take_one(retired)])
            retired.stop_receiving()
            await admin_of(broker).pause("paused")
            await nothing_comes(worker)  # meanwhile a broker learns who receives no more
            await worker.unpark({"slot": 1})
            assert (await take_one(worker)).body == line[2].body
            await worker.unpark({"slot": 1})
            assert (await take_one(worker)).body == line[4].body
            await admin_of(broker).resume("paused")
            async with broker.subscribe(["lonely"]) as late:
                await nothing_comes(late)
                await nothing_comes(worker)
                await worker.unpark({"slot": 2})
                assert bodies([await take_one(worker), await take_one(late)]) == bodies(line[:2])

    @law(Capability.PARK)
    async def test_a_call_is_for_those_who_wait_then(self, broker: AsyncBroker) -> None:
        """Unknown texts and counts beyond what there is do nothing, now or later; parking twice is parking once."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            await subscription.unpark({"slot": 5})
            await park(subscription, held, "slot")
            await park(subscription, held, "slot")
            await subscription.unpark({})
            await subscription.unpark({"slot": 0, "slo": 5, "slots": 5, "": 5, "sl*": 5, "s%": 5})
            await nothing_comes(subscription)
            await subscription.unpark({"slot": 5})
            back = await collect(subscription, 2)
            assert bodies(back) == bodies(held)
            await park(subscription, held, "slot")
            await park(subscription, back, "slot")
            await nothing_comes(subscription)
            await subscription.unpark({"slot": 5})
            await settle(subscription, await collect(subscription, 2))
        assert await whats_there(broker) == []

    @law(Capability.PARK)
    async def test_the_parked_come_back_by_themselves(self, broker: AsyncBroker) -> None:
        """If nobody calls, the eldest comes after `delay`, and each other one as much later than the one before it."""
        await broker.kick_many(messages(3))
        async with broker.subscribe(DEFAULT) as subscription:
            line = await collect(subscription, 3)
            begin = anyio.current_time()
            await park(subscription, line, "slot", delay=0.4)
            for place, expected in enumerate(line, 1):
                back = await take_one(subscription)
                waited = anyio.current_time() - begin
                assert back.body == expected.body
                assert waited >= 0.4 * place - SLACK, f"number {place} came after {waited:.3f} s"
                await settle(subscription, [back])

    @law(Capability.PARK)
    async def test_who_becomes_the_eldest_waits_no_longer_than_it(self, broker: AsyncBroker) -> None:
        """When those before it have been called, the next one comes by itself after `delay`, however long the line was."""
        await broker.kick_many(messages(100))
        async with broker.subscribe(DEFAULT) as subscription:
            line = await collect(subscription, 100)
            await park(subscription, line, "slot", delay=0.5)
            await subscription.unpark({"slot": 99})
            assert bodies(await collect(subscription, 99)) == bodies(line[:-1])
            assert (await take_one(subscription)).body == line[-1].body

    @law(Capability.PARK)
    async def test_who_has_come_back_is_not_called(self, broker: AsyncBroker) -> None:
        """A message that has come back by itself is parked no more: `unpark` does not wake it from a delay."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            await park(subscription, held[:1], "one", delay=0.2)
            await park(subscription, held[1:], "two", delay=0.2)
            again, released = await collect(subscription, 2)
            await settle(subscription, [again], Verdict.RETRY, delay=0.8)
            await settle(subscription, [released], Verdict.RELEASE, delay=0.8)
            begin = anyio.current_time()
            await subscription.unpark({"one": 5, "two": 5})
            back = [await take_one(subscription)]
            waited = anyio.current_time() - begin
            back.append(await take_one(subscription))
            await settle(subscription, back)
        assert waited >= 0.8 - 2 * SLACK, f"it was called out of its delay after {waited:.3f} s"

    @law(Capability.PARK)
    async def test_a_parked_message_comes_with_its_new_body(self, broker: AsyncBroker) -> None:
        """A settlement that parks may change the message; without a body it stays as it is."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as subscription:
            changed, same = await collect(subscription, 2)
            await park(subscription, [changed], "slot", body=b"booked \xff")
            await park(subscription, [same], "slot")
            await subscription.unpark({"slot": 2})
            back = await collect(subscription, 2)
            await settle(subscription, back)
        assert bodies(back) == sorted([b"booked \xff", same.body])

    @law(Capability.PARK | Capability.DEAD_LETTER)
    async def test_a_paused_queue_keeps_the_unparked(self, broker: AsyncBroker) -> None:
        """What is called, or comes back by itself, while its queue is paused waits there until the queue is resumed."""
        await broker.kick_many(messages(2))
        admin = admin_of(broker)
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            await park(subscription, held[:1], "one")
            await admin.pause(DEFAULT_QUEUE)
            await park(subscription, held[1:], "two", delay=0.2)
            await anyio.sleep(self.pause_delay)
            await subscription.unpark({"one": 1})
            await nothing_comes(subscription, 0.5)
            await admin.resume(DEFAULT_QUEUE)
            back = await collect(subscription, 2)
            assert bodies(back) == bodies(held)
            await settle(subscription, back)

    @law(Capability.PARK | Capability.DEAD_LETTER)
    async def test_the_parked_are_counted_and_purged(self, broker: AsyncBroker) -> None:
        """The depth counts them with the delayed; `purge` removes them; nobody can call them afterwards."""
        await broker.kick_many(messages(2))
        admin = admin_of(broker)
        async with broker.subscribe(DEFAULT) as subscription:
            await park(subscription, await collect(subscription, 2), "slot")
            assert await admin.depth(DEFAULT_QUEUE) == QueueDepth(delayed=2)
            assert await admin.purge(DEFAULT_QUEUE) == 2
            assert await admin.depth(DEFAULT_QUEUE) == QueueDepth()
            (later,) = messages(1)
            await broker.kick_many([later])
            await park(subscription, [await take_one(subscription)], "slot")
            await subscription.unpark({"slot": 1})
            back = await collect(subscription, 1)
            assert bodies(back) == [later.message]
            await settle(subscription, back)

    @law(Capability.PARK | Capability.DEAD_LETTER)
    async def test_all_of_a_prefix_can_be_unparked(self, broker: AsyncBroker) -> None:
        """`unpark_all` wakes what waits for any text with the prefix, which is no pattern, and tells how many those were."""
        texts = ("limit:a", "limit:a:1", "limit:a:1", "limit:b", "other")
        await broker.kick_many(messages(5))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 5)
            for delivery, text in zip(held, texts, strict=True):
                await park(subscription, [delivery], text)
            for stranger in ("limit:*", "limit:%", "limit_", "LIMIT", "imit", "[l]imit"):
                assert await admin_of(broker).unpark_all(stranger) == 0
            await nothing_comes(subscription)
            assert await admin_of(broker).unpark_all("limit:a") == 3
            back = await collect(subscription, 3)
            assert bodies(back) == bodies(held[:3])
            await nothing_comes(subscription)
            await settle(subscription, back)

    @law(Capability.PARK | Capability.DURABLE)
    async def test_the_parked_outlive_their_broker(self, broker: AsyncBroker) -> None:
        """They still wait after everybody has shut down, and come when another instance calls them."""
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as holder:
            held = await collect(holder, 2)
            await park(holder, held, "slot")
        await broker.shutdown()
        async with (await self.another()).subscribe(DEFAULT) as subscription:
            await nothing_comes(subscription)
            await subscription.unpark({"slot": 2})
            back = await collect(subscription, 2)
            assert bodies(back) == bodies(held)
            await settle(subscription, back)

    @law(Capability.PARK)
    async def test_who_waits_is_woken_by_a_call(self, broker: AsyncBroker) -> None:
        """A receiver that waits, on another instance where there are any, gets what is unparked."""
        await broker.kick_many(messages(1))
        other = await self.another() if claims(broker, Capability.CROSS_PROCESS) else broker
        async with broker.subscribe(DEFAULT) as holder, other.subscribe(DEFAULT) as subscription:
            held = await collect(holder, 1)
            await park(holder, held, "slot")
            taken: list[Delivery] = []

            async def receive() -> None:
                taken.extend(await collect(subscription, 1))

            async with anyio.create_task_group() as group:
                group.start_soon(receive)
                await anyio.sleep(0.1)  # long enough for the receiver to be waiting; if it is not yet, the law is still right
                await holder.unpark({"slot": 1})
            assert bodies(taken) == bodies(held)
            await settle(subscription, taken)


async def park(
    subscription: Subscription, deliveries: Iterable[Delivery], text: str, delay: float = LONG, body: bytes | None = None
) -> None:
    """Park deliveries for one thing, in their order."""
    await subscription.settle(
        [Settlement(delivery, Verdict.RELEASE, delay=delay, park=text, body=body) for delivery in deliveries]
    )
