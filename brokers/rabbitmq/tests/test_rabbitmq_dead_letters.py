"""The queue of dead letters: what the server itself puts there, what others put there, and several who look through it."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from pamqp import commands

from taskiq_core import AsyncBroker, BrokerMessage
from taskiq_core.delivery import DeadLetter, Settlement, Verdict
from taskiq_core_brokers_rabbitmq import RabbitBroker, frames
from taskiq_core_brokers_rabbitmq.opening import connect

pytestmark = pytest.mark.anyio


@pytest.fixture
async def broker(rabbitmq_url: str, rabbitmq_prefix: str) -> AsyncGenerator[RabbitBroker]:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix, delivery_limit=2) as broker:
        yield broker


async def reject(broker: AsyncBroker, *ids: str) -> None:
    await broker.kick_many([BrokerMessage(name, "task", name.encode()) for name in ids])
    async with broker.subscribe(["default"]) as subscription:
        left = len(ids)
        while left:
            taken = await subscription.receive(left)
            await subscription.settle([Settlement(item, Verdict.REJECT, reason="bad") for item in taken])
            left -= len(taken)


async def dead_letters(broker: RabbitBroker, count: int) -> list[DeadLetter]:
    """As soon as there are so many."""
    assert broker.admin is not None
    async with asyncio.timeout(10):
        while len(found := await broker.admin.dead_letters()) < count:
            await asyncio.sleep(0.05)
    return list(found)


async def test_what_the_server_gives_up_is_told_and_can_be_requeued(broker: RabbitBroker) -> None:
    """Its consumers vanish again and again without a word, as whole processes do."""
    assert broker.admin is not None
    await broker.kick_many([BrokerMessage("pill", "task", b"body", {}, queue="a:b% ü.*#", priority=7)])
    name = broker.topology.names.ready("a:b% ü.*#", 7)
    for _ in range(3):
        link = await connect(broker.location, name="loser", heartbeat=10, patience=5)
        channel = await link.channel(5)
        came = asyncio.Event()
        channel.on_delivery = lambda _, came=came: came.set()
        await channel.call(commands.Basic.Consume(queue=name), patience=5)
        async with asyncio.timeout(10):
            await came.wait()
        link.abort("gone")
    (letter,) = await dead_letters(broker, 1)
    assert (letter.body, letter.queue, letter.task_id, letter.attempts) == (b"body", "a:b% ü.*#", "pill", 3)
    assert "delivery_limit" in letter.reason
    assert await broker.admin.find_dead([letter.id]) == [letter]
    assert await broker.admin.requeue_dead([letter.id]) == 1
    async with broker.subscribe(["a:b% ü.*#"]) as subscription:
        (back,) = await subscription.receive(1)
        assert (back.body, back.deaths, back.receipt.level) == (b"body", 0, 7)


async def test_what_others_have_put_there_is_listed_and_deleted(broker: RabbitBroker) -> None:
    assert broker.admin is not None
    assert not await broker.admin.dead_letters()
    link = await connect(broker.location, name="stranger", heartbeat=10, patience=5)
    channel = await link.channel(5)
    address = b"", broker.topology.names.dead.encode()
    for body in (b"one", b"two"):
        link.write(frames.publication(channel.number, link.frame_max, address, frames.NO_PROPERTIES, body))
    await channel.call(commands.Basic.Qos(prefetch_count=1), patience=5)
    link.close()
    found = await dead_letters(broker, 2)
    assert sorted((item.body, item.reason, item.task_id) for item in found) == [
        (b"one", "somebody else has put it here", ""),
        (b"two", "somebody else has put it here", ""),
    ]
    assert await broker.admin.purge_dead([found[0].id]) == 1
    assert await broker.admin.dead_letters() == found[1:]


async def test_several_who_look_through_them_see_them_all(broker: RabbitBroker, rabbitmq_url: str) -> None:
    await reject(broker, *(f"id-{n}" for n in range(300)))
    async with RabbitBroker(rabbitmq_url, prefix=broker.location.prefix) as other:
        assert broker.admin is not None
        assert other.admin is not None
        counts = await asyncio.gather(*(one.dead_letters(limit=1000) for one in (broker.admin, other.admin) * 4))
        assert [len(found) for found in counts] == [300] * 8
        mine, theirs = ([letter.id for letter in counts[0]][start::2] for start in (0, 1))
        assert await asyncio.gather(broker.admin.requeue_dead(mine), other.admin.purge_dead(theirs)) == [150, 150]
        assert (await broker.admin.depth("default")).ready == 150
        assert not await other.admin.dead_letters()


async def test_who_is_cancelled_while_looking_gives_everything_back(broker: RabbitBroker) -> None:
    assert broker.admin is not None
    await reject(broker, *(f"id-{n}" for n in range(200)))
    for steps in range(0, 40, 3):
        looking = asyncio.ensure_future(broker.admin.dead_letters())
        for _ in range(steps):
            await asyncio.sleep(0.001)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    assert len(await dead_letters(broker, 100)) == 100
    async with asyncio.timeout(10):
        while len(await broker.admin.dead_letters(limit=1000)) < 200:
            await asyncio.sleep(0.05)
