"""Laws about what happens to a message between the sender and the first receiver."""

import random
from dataclasses import replace
from typing import Any, cast

import anyio

from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.delivery import Delivery
from taskiq_core.message import BrokerMessage
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

GARBAGE = (b"", b"\0", b"\xff\xfe\xfd", b"{", b"\n\r\n", bytes(range(256)), "ключ ☃".encode(), b"\x93\x01")


class SendingLaws(BrokerSuite):
    """Sending, carrying, ordering."""

    @law()
    async def test_startup_and_shutdown_may_be_repeated(self, broker: AsyncBroker) -> None:
        """A broker may be started and shut down twice, and started again after that."""
        await broker.startup()
        await broker.shutdown()
        await broker.shutdown()
        await broker.startup()
        sent = messages(1)
        await broker.kick_many(sent)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law()
    async def test_sent_messages_arrive_once_and_unchanged(self, broker: AsyncBroker) -> None:
        """What is sent is received, each message once, with the same bytes."""
        sent = messages(25)
        await broker.kick_many(sent[:20])
        await broker.kick_many([])
        for message in sent[20:]:
            await broker.kick(message)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law()
    async def test_concurrent_senders_lose_nothing(self, broker: AsyncBroker) -> None:
        """A hundred tasks that send at the same time each get their message accepted."""
        sent = messages(100)
        async with anyio.create_task_group() as group:
            for message in sent:
                group.start_soon(broker.kick, message)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law()
    async def test_a_waiting_receiver_gets_what_is_sent_later(self, broker: AsyncBroker) -> None:
        """A receiver that found nothing is woken by the next message."""
        sent = messages(1)
        async with broker.subscribe(DEFAULT) as subscription:
            await nothing_comes(subscription)
            taken = await _receive_while_sending(subscription, broker, sent)
        assert bodies(taken) == bodies(sent)

    @law()
    async def test_any_bytes_are_carried(self, broker: AsyncBroker) -> None:
        """Bodies are bytes to a broker: whatever they are, they arrive as they were sent."""
        sent = messages(len(GARBAGE))
        for message, body in zip(sent, GARBAGE, strict=True):
            message.message = body
        await broker.kick_many(sent)
        assert bodies(await whats_there(broker)) == bodies(sent)

    @law()
    async def test_a_big_message_is_carried(self, broker: AsyncBroker) -> None:
        """A body of `big_body` bytes arrives as it was sent."""
        sent = messages(1)
        sent[0].message = random.Random(1).randbytes(self.big_body)
        await broker.kick_many(sent)
        taken = await whats_there(broker)
        assert [len(item.body) for item in taken] == [self.big_body]
        assert taken[0].body == sent[0].message, "the body was changed"

    @law(Capability.BATCH)
    async def test_a_refused_batch_leaves_nothing(self, broker: AsyncBroker) -> None:
        """When `kick_many` raises because of one message, none of the batch is in the queue."""
        batch = messages(5)
        batch[3].message = cast("Any", object())
        try:
            await broker.kick_many(batch)
        except Exception:  # noqa: BLE001 - every plugin's driver refuses in its own words
            assert await whats_there(broker) == []
        else:
            assert len(await whats_there(broker)) == len(batch)

    @law(Capability.BATCH)
    async def test_a_cancelled_batch_is_there_whole_or_not_at_all(self, broker: AsyncBroker) -> None:
        """Whenever a send is cancelled, all of its batch is in the queue or none of it."""
        chance = random.Random(2)
        batches = [messages(20) for _ in range(25)]
        for batch in batches:
            with anyio.move_on_after(chance.choice((0, chance.random() * 0.003))):
                await broker.kick_many(batch)
        found = {item.body for item in await whats_there(broker)}
        halves = [len(found & set(bodies(batch))) for batch in batches]
        assert set(halves) <= {0, 20}, f"of batches of 20 there were {halves}"

    @law(Capability.DURABLE)
    async def test_messages_outlive_their_broker(self, broker: AsyncBroker) -> None:
        """An accepted message is still there after the sender has shut down and another instance has opened the store."""
        sent = messages(10)
        await broker.kick_many(sent)
        await broker.shutdown()
        assert bodies(await whats_there(await self.another())) == bodies(sent)

    @law(Capability.CROSS_PROCESS)
    async def test_another_instance_receives(self, broker: AsyncBroker) -> None:
        """A receiver on another instance is woken by what this one sends."""
        sent = messages(3)
        async with (await self.another()).subscribe(DEFAULT) as subscription:
            await nothing_comes(subscription)
            taken = await _receive_while_sending(subscription, broker, sent)
        assert bodies(taken) == bodies(sent)

    @law(Capability.QUEUES)
    async def test_queues_are_apart(self, broker: AsyncBroker) -> None:
        """A subscription gets the messages of the queues it asked for and no others."""
        one, two, three = (messages(3, queue=name) for name in ("one", "two", "three"))
        await broker.kick_many([*one, *two, *three])
        async with broker.subscribe(["two", "three"]) as subscription:
            taken = await collect(subscription, 6)
            assert bodies(taken) == bodies([*two, *three])
            assert {item.queue for item in taken} == {"two", "three"}, "deliveries must name their queue"
            await nothing_comes(subscription)
            await settle(subscription, taken)
        assert bodies(await whats_there(broker, ["one"])) == bodies(one)

    @law(Capability.PRIORITY)
    async def test_higher_priority_comes_first(self, broker: AsyncBroker) -> None:
        """Of what is waiting, the highest priority is received first; no priority is the middle one, 5."""
        order = [3, 9, 0, 6, None, 1, 8, 4, 2, 7]
        sent = [messages(1, priority=priority)[0] for priority in order]
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as subscription:
            taken = [await take_one(subscription) for _ in order]
            await settle(subscription, taken)
        of_body = {message.message: message.priority for message in sent}
        assert [of_body[item.body] for item in taken] == [9, 8, 7, 6, None, 4, 3, 2, 1, 0]

    @law(Capability.PRIORITY)
    async def test_lower_priorities_are_not_starved(self, broker: AsyncBroker) -> None:
        """While there is always something of the highest priority, each other one has some share: of 64 deliveries, one."""
        for limit in (1, 10):
            lows = [messages(1, priority=priority)[0] for priority in (6, 3, 0)]
            await broker.kick_many([*messages(220, priority=9), *lows])
            async with broker.subscribe(DEFAULT) as subscription:
                waiting, taken = set(bodies(lows)), 0
                while waiting:
                    batch = await collect(subscription, limit)
                    waiting -= {item.body for item in batch}
                    taken += len(batch)
                    await settle(subscription, batch)
            assert taken <= 64 * len(lows) + limit, f"{taken} deliveries, {limit} at a time, before the last had its turn"
            await whats_there(broker)

    @law(Capability.DELAY)
    async def test_a_delayed_message_waits(self, broker: AsyncBroker) -> None:
        """A delayed message comes when it is due and not before, and holds nobody else up."""
        (late,), (soon,) = messages(1, delay=0.7), messages(1)
        begin = anyio.current_time()
        await broker.kick_many([late, soon])
        async with broker.subscribe(DEFAULT) as subscription:
            taken = await collect(subscription, 2, limit=1)
            waited = anyio.current_time() - begin
            await settle(subscription, taken)
        assert [item.body for item in taken] == [soon.message, late.message]
        assert waited >= 0.7 - SLACK, f"it came after {waited:.3f} s"

    @law(Capability.IDEMPOTENT_SEND)
    async def test_sending_an_id_again_makes_no_second_message(self, broker: AsyncBroker) -> None:
        """A task id that is queued or running is accepted again without a second delivery."""
        sent = messages(2)
        await broker.kick_many([*sent, sent[0]])
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as subscription:
            taken = await collect(subscription, 2)
            assert bodies(taken) == bodies(sent)
            await broker.kick_many(sent)
            await nothing_comes(subscription)
            await settle(subscription, taken)
        assert await whats_there(broker) == []

    @law(Capability.IDEMPOTENT_SEND | Capability.DELAY)
    async def test_sending_an_id_again_with_a_delay_changes_nothing(self, broker: AsyncBroker) -> None:
        """What is ready stays so and comes once, also if the later send alone would have made it wait."""
        sent = messages(2)
        await broker.kick_many(sent)
        await broker.kick_many([replace(message, delay=0.3) for message in sent])
        await broker.kick(replace(sent[0], delay=0.3))
        async with broker.subscribe(DEFAULT) as subscription:
            taken = await collect(subscription, 2)
            assert bodies(taken) == bodies(sent)
            await nothing_comes(subscription, 0.6)
            await settle(subscription, taken)
        assert await whats_there(broker) == []

    @law(Capability.IDEMPOTENT_SEND)
    async def test_a_finished_id_may_be_sent_again(self, broker: AsyncBroker) -> None:
        """Once a message is acknowledged, its task id is free again: a retry by hand sends it."""
        sent = messages(1)
        for _ in range(2):
            await broker.kick_many(sent)
            assert bodies(await whats_there(broker)) == bodies(sent)


async def _receive_while_sending(subscription: Subscription, broker: AsyncBroker, sent: list[BrokerMessage]) -> list[Delivery]:
    taken: list[Delivery] = []

    async def receive() -> None:
        taken.extend(await collect(subscription, len(sent)))

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.sleep(0.05)  # long enough for the receiver to be waiting; if it is not yet, the law is still right
        await broker.kick_many(sent)
    await settle(subscription, taken)
    return taken
