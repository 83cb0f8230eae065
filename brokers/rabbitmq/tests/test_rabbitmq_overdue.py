"""The server's consumer_timeout: warned of in time, and survived when it strikes all the same."""

import asyncio
import logging
from collections.abc import Callable

import anyio
import pytest
from support.rabbitmq_fixtures import StartRabbit

from taskiq_core import BrokerMessage
from taskiq_core.testing.broker_tools import DEFAULT, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio

Warned = Callable[[str], int]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    """How many warnings with a text there were."""
    caplog.set_level(logging.WARNING, "taskiq.rabbitmq")
    return lambda text: sum(text in record.getMessage() for record in caplog.records)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_is_held_for_long_is_told_once(rabbitmq_url: str, rabbitmq_prefix: str, warned: Warned) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix, consumer_timeout=0.5) as broker:
        async with broker.subscribe(DEFAULT) as subscription:
            for episode in (1, 2):
                await broker.kick_many([BrokerMessage(f"slow-{episode}", "task", b"body")])
                held = await collect(subscription, 1)
                await until(lambda episode=episode: warned(f"slow-{episode} is held") > 0)
                await asyncio.sleep(0.2)  # several looks
                await settle(subscription, held)
            assert warned("is held for") == 2
            assert warned("?consumer_timeout=86400") == 2
            assert warned("consumer_timeout = 86400000") == 2


async def test_what_is_settled_in_time_is_not(rabbitmq_url: str, rabbitmq_prefix: str, warned: Warned) -> None:
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix, consumer_timeout=0.5) as broker:
        async with broker.subscribe(DEFAULT) as subscription:
            for _ in range(4):
                await broker.kick_many(messages(1))
                held = await collect(subscription, 1)
                await asyncio.sleep(0.15)
                await settle(subscription, held)
    assert warned("is held for") == 0


async def test_tasks_that_may_run_for_longer_are_told_at_the_start(
    rabbitmq_url: str, rabbitmq_prefix: str, warned: Warned
) -> None:
    async with RabbitBroker.from_url(f"{rabbitmq_url}?prefix={rabbitmq_prefix}&consumer_timeout=60") as broker:

        @broker.task("short", timeout=60)
        async def short() -> None: ...

        @broker.task("unlimited")
        async def unlimited() -> None: ...

        broker.subscribe(DEFAULT)
        assert warned("By their timeout") == 0

        @broker.task("long", timeout=61)
        async def long() -> None: ...

        broker.subscribe(DEFAULT)
        assert warned("for longer than RabbitMQ lets a worker hold a message, 60 s: long. If they do") == 1


async def test_when_the_server_strikes_the_holder_goes_on(start_rabbitmq: StartRabbit, warned: Warned) -> None:
    server = start_rabbitmq("consumer_timeout = 500")
    server.erlang("application:set_env(rabbit, channel_tick_interval, 300)")  # how often it looks; a minute otherwise
    async with RabbitBroker(server.url) as broker:
        await broker.kick_many(messages(2))
        async with broker.subscribe(DEFAULT) as subscription:
            held = await collect(subscription, 2)
            await until(lambda: warned("raise that in rabbitmq.conf") > 0)
            await nothing_comes(subscription)
            await settle(subscription, held)
        assert await whats_there(broker) == []
