"""A retry is a copy. One whose confirm is lost is sent once more, and still one of the two runs."""

from urllib.parse import urlsplit

import pytest
from support.tcp_proxy import TcpProxy

from taskiq_core.delivery import Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core.testing.broker_tools import DEFAULT, bodies, collect, messages, nothing_comes, settle, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("who", ["the same worker", "another worker"])
async def test_a_retry_whose_confirm_is_lost(rabbitmq_url: str, rabbitmq_prefix: str, who: str) -> None:
    port = urlsplit(rabbitmq_url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        shaky = RabbitBroker(rabbitmq_url.replace(str(port), str(proxy.port)), prefix=rabbitmq_prefix)
        async with shaky, RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
            await shaky.kick_many(messages(3))
            async with shaky.subscribe(DEFAULT) as holder, broker.subscribe(DEFAULT) as other:
                held = await collect(holder, 3)
                proxy.drop_replies(b"once more")
                with pytest.raises(BrokerError):
                    await settle(holder, held, Verdict.RETRY, body=b"once more")
                await settle(holder, held, Verdict.RETRY, body=b"once more")
                receiver = other if who == "another worker" else holder
                copies = await collect(receiver, 3)
                assert bodies(copies) == [b"once more"] * 3
                await nothing_comes(receiver, 1.0)
                await settle(receiver, copies)
                await nothing_comes(receiver, 1.0)
            assert await whats_there(broker) == []
