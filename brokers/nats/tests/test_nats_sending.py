"""What is sent again while it is there."""

from collections.abc import Sequence

import anyio
import pytest

from taskiq_core import BrokerMessage
from taskiq_core.exceptions import SendTaskError
from taskiq_core.testing.broker_tools import bodies, collect, messages, nothing_comes, settle
from taskiq_core_brokers_nats import NatsBroker, producer
from taskiq_core_brokers_nats.errors import NatsError, lost, nobody_answers

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


async def test_of_a_batch_that_is_there_in_part_nobody_says_that_it_was_refused(
    nats_url: str, nats_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stream was deleted after the first message, and the server is away since."""

    async def publish_one(_: object, items: Sequence[object], timeout: float | None) -> list[int | NatsError]:
        return [1, *(nobody_answers("a server", "a publish") for _ in items[1:])]

    async def away() -> None:
        raise lost("a server", "the connection is closed", certain=True)

    async with NatsBroker(nats_url, prefix=nats_prefix, send_timeout=0.5) as broker:
        monkeypatch.setattr(producer, "publish_all", publish_one)
        monkeypatch.setattr(broker._topology, "ensure", away)
        with pytest.raises(SendTaskError) as raised:
            await broker.kick_many(messages(2))
    assert raised.value.outcome == "unknown"
