"""Requests for messages: one always stands while a worker waits, and what a server delivers twice is handed out once."""

from typing import Any

import anyio
import pytest
from support.processes import DEADLINE

from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker
from taskiq_core_brokers_nats.link import Msg

pytestmark = pytest.mark.anyio


async def test_a_request_is_made_anew_while_it_stands(nats_url: str, nats_prefix: str) -> None:
    """With none but requests that have just ended, nats-server 2.9.10 drops a redelivery, and doubles another message."""
    async with NatsBroker(nats_url, prefix=nats_prefix) as broker, broker.subscribe(["default"]) as subscription:
        await broker.kick_many(messages(1))
        await settle(subscription, await collect(subscription, 1))
        async with anyio.create_task_group() as group:
            group.start_soon(nothing_comes, subscription, DEADLINE)
            with anyio.fail_after(DEADLINE):
                while (await _consumer(broker))["num_waiting"] < 2:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()


async def test_what_is_delivered_again_and_as_new_is_handed_out_once(nats_url: str, nats_prefix: str) -> None:
    """As by nats-server 2.9.10, in one batch: a redelivery of the last message, and then the same as if for the first time."""
    async with NatsBroker(nats_url, prefix=nats_prefix, lease=1.0) as broker, broker.subscribe(["default"]) as subscription:
        sent = messages(1)
        await broker.kick_many(sent)
        async with broker.subscribe(["default"]) as dead:
            (first,) = await collect(dead, 1)
            receipt = first.receipt
            again, anew = (
                Msg(receipt.subject, receipt.ack.replace(".1.1.1.", f".{delivered}.1.2.", 1), b"", receipt.body)
                for delivered in (2, 1)
            )
            assert not subscription._holdings.sort([again, anew], wanted=True)
            (back,) = await collect(subscription, 1)
            assert (bodies([back]), back.deaths) == (bodies(sent), 1)
            await settle(subscription, [back])
            await nothing_comes(subscription)


async def _consumer(broker: NatsBroker) -> dict[str, Any]:
    return await broker._connection.api(f"CONSUMER.INFO.{broker.location.prefix}-queues.default-5")
