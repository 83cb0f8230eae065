"""What is sent again while it is there."""

import anyio
import pytest

from taskiq_core import BrokerMessage
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker

pytestmark = pytest.mark.anyio


async def test_what_is_ready_is_accepted_again_with_a_delay(nats_url: str, nats_prefix: str) -> None:
    """Alone and among others; nothing is left to be written for it, and no answer to wait for."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(["default"]) as subscription:
        ready, other = messages(2)
        await broker.kick_many([ready])
        delayed = BrokerMessage(ready.task_id, ready.task_name, ready.message, delay=0.1)
        with anyio.fail_after(broker.send_timeout / 2):
            await broker.kick_many([delayed])
            await broker.kick_many([delayed, other])
        taken = await collect(subscription, 2)
        assert bodies(taken) == bodies([ready, other])
        await settle(subscription, taken)
        await nothing_comes(subscription)
