"""Queues and exchanges: declared when they are needed, refused when they are others', made again when they are gone."""

import asyncio
import os
from functools import partial

import anyio
import pytest
from pamqp import commands

from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.exceptions import ConfigurationError, MessageRefusedError, SendTaskError
from taskiq_core.testing.broker_tools import DEFAULT, admin_of, bodies, collect, messages, settle, take_one, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.names import DELAYS, LONGEST, path

pytestmark = pytest.mark.anyio


async def ask(broker: RabbitBroker, question: object) -> None:
    """Put one question of AMQP on a channel of its own."""
    assert broker.connector is not None
    channel = await (await broker.connector.link()).channel(5)
    await channel.call(question, patience=5)
    channel.close()


async def test_what_exists_with_other_arguments_is_refused(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    make = partial(RabbitBroker, rabbitmq_url, prefix=rabbitmq_prefix)
    async with make(delivery_limit=5) as one, make(delivery_limit=6) as other:
        await one.kick_many(messages(1))
        with pytest.raises(SendTaskError, match=r"with another x-delivery-limit: .*5.* there, .*6.* here") as sending:
            await other.kick_many(messages(1))
        assert sending.value.outcome == "refused"
        with pytest.raises(ConfigurationError, match="give this broker the same option"):
            async with other.subscribe(DEFAULT):
                pass


async def test_a_queue_that_was_deleted_is_made_again(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        await broker.kick_many(messages(2))
        await ask(broker, commands.Queue.Delete(queue=broker.topology.names.ready(DEFAULT_QUEUE, 5)))
        sent = messages(2)
        await broker.kick_many(sent)
        assert bodies(await whats_there(broker)) == bodies(sent)


async def test_a_worker_learns_of_new_priorities(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker, broker.subscribe(DEFAULT) as subscription:
        waiting = asyncio.ensure_future(take_one(subscription))
        sent = messages(1, priority=8)
        await broker.kick_many(sent)
        taken = await waiting
        assert taken.body == sent[0].message
        await settle(subscription, [taken])


async def test_classic_queues_count_lost_holders_too(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    make = partial(RabbitBroker, rabbitmq_url, prefix=rabbitmq_prefix, queue_type="classic")
    async with make() as broker:
        sent = messages(1)
        await broker.kick_many(sent)
        for deaths in range(3):
            dead = broker.subscribe(DEFAULT)
            await dead.__aenter__()
            (taken,) = await collect(dead, 1)
            assert (taken.body, taken.attempt, taken.deaths) == (sent[0].message, deaths + 1, deaths)
            with anyio.fail_after(5):
                while dead.held(DEFAULT_QUEUE) > 1:  # the one in whose place this one has come
                    await anyio.sleep(0.01)
            dead.stop_receiving()
            dead.connector.close()


def test_delays_are_rounded_up() -> None:
    for milliseconds in (1, 31, 32, 33, 1000, 86_400_000, LONGEST):
        total = sum(DELAYS[index] for index in path(milliseconds))
        assert milliseconds <= total < milliseconds + DELAYS[0]


async def test_names_that_are_too_long(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        with pytest.raises(MessageRefusedError, match="too long for RabbitMQ"):
            await broker.kick_many(messages(1, queue="q" * 300))
        with pytest.raises(ConfigurationError, match="too long for RabbitMQ"):
            broker.subscribe(["q" * 300])


async def test_a_fork_leaves_the_connection_alone(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        await broker.kick_many(messages(1))
        child = os.fork()
        if child == 0:
            connector = broker.connector
            assert connector is not None
            connector.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0
        await broker.kick_many(messages(1))
        assert len(await whats_there(broker)) == 2


async def test_the_queue_of_one_priority_is_deleted(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    """By an operator. Its mark is still there."""
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        await broker.kick_many(messages(1, priority=7))
        await ask(broker, commands.Queue.Delete(queue=broker.topology.names.ready(DEFAULT_QUEUE, 7)))
        sent = messages(1)
        await broker.kick_many(sent)
        assert (await admin_of(broker).depth(DEFAULT_QUEUE)).ready == 1
        assert bodies(await whats_there(broker)) == bodies(sent)


async def test_what_waits_outlives_its_ready_queue(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    sent = messages(1, delay=1.0)
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        await broker.kick_many(sent)
        await ask(broker, commands.Queue.Delete(queue=broker.topology.names.ready(DEFAULT_QUEUE, 5)))
        async with broker.subscribe(DEFAULT) as subscription:
            taken = await take_one(subscription)
            assert taken.body == sent[0].message
            await settle(subscription, [taken])
