"""While RabbitMQ is short of memory or disk space it takes no messages; consuming is what ends that."""

from collections.abc import Generator
from contextlib import contextmanager

import anyio
import pytest
from support.rabbitmq_server import RabbitServer

from taskiq_core.exceptions import SendTaskError
from taskiq_core.testing.broker_tools import DEFAULT, admin_of, bodies, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker
from taskiq_core_brokers_rabbitmq.subscription import RabbitSubscription

pytestmark = pytest.mark.anyio
_ALARM = "{resource_limit, memory, node()}"


@pytest.fixture(scope="module")
def server() -> Generator[RabbitServer]:
    with RabbitServer() as server:
        yield server


@contextmanager
def alarm(server: RabbitServer) -> Generator[None]:
    """As if its memory were used up."""
    server.erlang(f"rabbit_alarm:set_alarm({{{_ALARM}, []}})")
    try:
        yield
    finally:
        server.erlang(f"rabbit_alarm:clear_alarm({_ALARM})")


async def refusal(broker: RabbitBroker) -> SendTaskError:
    """Of the first send that is not taken: an alarm reaches connections a moment after it began."""
    with anyio.fail_after(20):
        while True:
            try:
                await broker.kick_many(messages(1, queue="other"))
            except SendTaskError as error:
                return error


async def test_what_waits_is_consumed_in_an_alarm(server: RabbitServer, rabbitmq_prefix: str) -> None:
    """By workers that start, and by those that lose their connection, but not from a queue that is paused."""
    sent = [*messages(2, priority=8), *messages(2)]
    async with RabbitBroker(server.url, prefix=rabbitmq_prefix, send_timeout=2.0) as broker:
        await broker.kick_many([*sent, *messages(1, queue="paused")])
        await admin_of(broker).pause("paused")
        with alarm(server):
            await refusal(broker)
            late = RabbitBroker(server.url, prefix=rabbitmq_prefix)
            async with late, late.subscribe([*DEFAULT, "paused"]) as subscription:
                first = await subscription.receive(1)
                assert isinstance(subscription, RabbitSubscription)
                link = subscription.connector.current
                assert link is not None
                link.abort("cut by the test")
                await settle(subscription, first)
                rest = await collect(subscription, 3)
                assert bodies([*first, *rest]) == bodies(sent)
                await settle(subscription, rest)
                await nothing_comes(subscription)
        await broker.kick_many(messages(1, queue="other"))  # tries until the end of the alarm has reached it
        await admin_of(broker).resume("paused")
        assert len(await whats_there(broker, ["paused"])) == 1


async def test_a_send_in_an_alarm_tells_of_it(server: RabbitServer, rabbitmq_prefix: str) -> None:
    async with RabbitBroker(server.url, prefix=rabbitmq_prefix, send_timeout=2.0) as broker:
        await broker.kick_many(messages(1))
        with alarm(server):
            # The first was written before the server told us.
            for outcome in ("unknown", "refused"):
                error = await refusal(broker)
                assert error.outcome == outcome
                assert "short of memory or disk space" in str(error)
        await broker.kick_many(messages(1))
