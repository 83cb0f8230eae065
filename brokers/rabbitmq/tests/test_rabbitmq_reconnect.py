"""Connections that break: what is held stays with its holder, what is settled stays settled."""

import anyio
import pytest
from support.shared_server import fresh_prefix

from taskiq_core.delivery import Delivery, Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core.testing.broker_tools import DEFAULT, bodies, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.subscription import RabbitSubscription

pytestmark = pytest.mark.anyio


def cut(subscription: RabbitSubscription) -> None:
    """The network drops its connection."""
    link = subscription.connector.current
    assert link is not None
    link.abort("cut by the test")


async def receive_for(subscription: RabbitSubscription, seconds: float) -> list[bytes]:
    """The bodies of what comes in that time, which begins with trouble."""
    taken: list[bytes] = []
    with anyio.move_on_after(seconds):
        while True:
            try:
                taken += [item.body for item in await subscription.receive(10)]
            except BrokerError:
                await anyio.sleep(0.05)
    return taken


async def test_what_is_held_stays_with_its_holder(rabbitmq_url: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(messages(3))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 3)
            cut(subscription)
            assert await receive_for(subscription, 1.5) == [], "what a task works at was delivered to it again"
            await settle(subscription, held)
            await nothing_comes(subscription)
        assert await whats_there(broker) == []


async def test_what_was_settled_without_a_connection_is_not_delivered(rabbitmq_url: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(messages(3))
        async with broker.subscribe(DEFAULT) as subscription:
            done, again, released = await collect(subscription, 3)
            cut(subscription)
            await settle(subscription, [done])
            await settle(subscription, [again], Verdict.RETRY, body=b"again")
            await settle(subscription, [released], Verdict.RELEASE)
            assert sorted(await receive_for(subscription, 2.5)) == sorted([b"again", released.body])


async def test_another_worker_leaves_it_to_its_holder(rabbitmq_url: str) -> None:
    """What a lost connection held goes to another worker, whose own is well, and is not run there."""
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(messages(4))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            held = await collect(holder, 4)
            async with anyio.create_task_group() as group:
                group.start_soon(nothing_comes, other, 3.0)
                await anyio.sleep(0.3)
                cut(holder)
                await anyio.sleep(1.5)
                await settle(holder, held)
        assert await whats_there(broker) == []


async def cut_with_something_to_tell(holder: RabbitSubscription, settled: Delivery) -> None:
    """From now on it tells others for a while that this one is settled."""
    cut(holder)
    await settle(holder, [settled])
    assert await receive_for(holder, 1.5) == []


async def test_what_is_held_is_claimed_after_each_break(rabbitmq_url: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(messages(3))
        async with broker.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
            settled, *held = await collect(holder, 3)
            await cut_with_something_to_tell(holder, settled)
            cut(holder)
            await nothing_comes(other, 3.0)
            await settle(holder, held)
        assert await whats_there(broker) == []


async def test_what_was_not_received_before_a_second_break_comes_again(rabbitmq_url: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(messages(1))
        async with broker.subscribe(DEFAULT) as holder:
            await cut_with_something_to_tell(holder, *await collect(holder, 1))
            late = messages(2)
            await broker.kick_many(late)
            with anyio.fail_after(5):
                while holder.held("default") < len(late):  # on their way to who received a moment ago
                    await anyio.sleep(0.01)
            cut(holder)
            assert sorted(await receive_for(holder, 5.0)) == sorted(item.message for item in late)


async def test_the_messages_of_the_dead_come_to_others(rabbitmq_url: str) -> None:
    sent = messages(2)
    async with RabbitBroker(rabbitmq_url, prefix=fresh_prefix()) as broker:
        await broker.kick_many(sent)
        async with broker.subscribe(DEFAULT) as heir:
            dead = broker.subscribe(DEFAULT)
            await dead.__aenter__()
            await collect(dead, 2)
            dead.stop_receiving()
            cut(dead)  # and it never comes back
            back = await collect(heir, 2)
            assert bodies(back) == bodies(sent)
            assert [(item.attempt, item.deaths) for item in back] == [(2, 1), (2, 1)]
            await settle(heir, back)
