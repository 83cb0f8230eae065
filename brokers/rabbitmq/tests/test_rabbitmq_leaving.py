"""A worker that leaves gives back what it holds, once, also where the server is slow to confirm."""

from urllib.parse import urlsplit

import pytest
from support.tcp_proxy import TcpProxy

from taskiq_core.testing.broker_tools import DEFAULT, bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio


async def test_confirms_that_take_long(rabbitmq_url: str, rabbitmq_prefix: str) -> None:
    sent = messages(10)
    port = urlsplit(rabbitmq_url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        slow = RabbitBroker(rabbitmq_url.replace(str(port), str(proxy.port)), prefix=rabbitmq_prefix)
        async with slow:
            await slow.kick_many(sent)
            async with slow.subscribe(DEFAULT) as subscription:
                await collect(subscription, 10)
                proxy.delay(0.12)  # an answer takes twice that, and leaving takes three
        async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker, broker.subscribe(DEFAULT) as subscription:
            back = await collect(subscription, 10)
            assert sorted(bodies(back)) == sorted(bodies(sent))
            assert {item.deaths for item in back} == {0}
            await settle(subscription, back)
            await nothing_comes(subscription, 2.0)  # what comes from a lost holder comes a second later
