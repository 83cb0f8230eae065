"""A broker in one event loop after another, as in scripts that call `asyncio.run` more than once without a shutdown."""

import asyncio
import threading

import pytest

from taskiq_core.exceptions import SendTaskError
from taskiq_core.testing.broker_tools import bodies, collect, messages, settle, whats_there
from taskiq_core_brokers_nats import NatsBroker


def test_in_a_second_loop(nats_url: str, nats_prefix: str) -> None:
    broker, sent = NatsBroker(nats_url, prefix=nats_prefix, send_timeout=20.0), messages(3)

    async def begin() -> None:
        await broker.startup()
        await broker.kick(sent[0])
        async with broker.subscribe(["default"]) as subscription:
            await settle(subscription, await collect(subscription, 1))
        await broker.subscribe(["default"]).__aenter__()  # and never left

    async def go_on() -> None:
        await broker.kick(sent[1])

    async def end() -> None:
        await broker.startup()
        await broker.kick(sent[2])
        assert bodies(await whats_there(broker)) == bodies(sent[1:])
        await broker.shutdown()

    for step in (begin, go_on, end):
        asyncio.run(step())


def test_in_two_loops_at_once(nats_url: str, nats_prefix: str) -> None:
    broker = NatsBroker(nats_url, prefix=nats_prefix, send_timeout=1.0)
    refusals: list[SendTaskError] = []

    def elsewhere() -> None:
        with pytest.raises(SendTaskError, match="another event loop") as raised:
            asyncio.run(broker.kick(messages(1)[0]))
        refusals.append(raised.value)

    async def here() -> None:
        async with broker:
            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            await broker.kick(messages(1)[0])

    asyncio.run(here())
    assert [error.outcome for error in refusals] == ["refused"]
