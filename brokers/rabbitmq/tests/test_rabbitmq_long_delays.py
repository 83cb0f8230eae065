"""Delays that are longer than one passage through the queues for delays: a worker sends them through again.

One passage takes up to 49 days. Here it takes 96 ms.
"""

import time
from collections.abc import Callable

import anyio
import pytest

from taskiq_core import BrokerMessage
from taskiq_core.abc.queue_admin import QueueDepth
from taskiq_core.testing.broker_tools import DEFAULT, collect, nothing_comes, settle, whats_there
from taskiq_core_brokers_rabbitmq import RabbitBroker, envelope
from taskiq_core_brokers_rabbitmq.envelope import DUE, MORE, still_to_wait

pytestmark = pytest.mark.anyio

PASSAGE = 96
"""Milliseconds: two of the queues."""


async def until(broker: RabbitBroker, condition: Callable[[QueueDepth], bool]) -> None:
    assert broker.admin is not None
    with anyio.fail_after(10):
        while not condition(await broker.admin.depth("default")):
            await anyio.sleep(0.02)


async def test_a_worker_sends_it_through_again_and_again(
    rabbitmq_url: str, rabbitmq_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "LONGEST", PASSAGE)
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        assert broker.admin is not None
        sent = time.time()
        await broker.kick_many([BrokerMessage("late", "task", b"body", {}, queue="a.b", priority=7, delay=1.0)])
        async with broker.subscribe(["a.b"]) as subscription:
            (taken,) = await collect(subscription, 1)
            assert time.time() - sent >= 1.0, "it came before it was due"
            assert (taken.body, taken.attempt, taken.deaths, taken.receipt.level) == (b"body", 1, 0, 7)
            await settle(subscription, [taken])
            await nothing_comes(subscription)
        depth = await broker.admin.depth("a.b")
        assert (depth.ready, depth.delayed, depth.leased) == (0, 0, 0)


async def test_it_waits_for_no_worker(rabbitmq_url: str, rabbitmq_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is away after a passage finds it; the rest of its delay lies in the server again as soon as somebody is there."""
    monkeypatch.setattr(envelope, "LONGEST", PASSAGE)
    async with RabbitBroker(rabbitmq_url, prefix=rabbitmq_prefix) as broker:
        await broker.kick_many([BrokerMessage("late", "task", b"body", delay=3600)])
        await until(broker, lambda depth: depth.ready == 1)
        monkeypatch.undo()
        async with broker.subscribe(DEFAULT) as subscription, anyio.create_task_group() as group:
            group.start_soon(subscription.receive, 1)
            await until(broker, lambda depth: (depth.ready, depth.delayed) == (0, 1))
            group.cancel_scope.cancel()
        assert await whats_there(broker) == []


def test_what_has_lain_about_is_not_late_for_that() -> None:
    now = time.time() * 1000
    assert still_to_wait({MORE: 5000, DUE: round(now) + 60_000}) == 5
    assert 55 < still_to_wait({MORE: 90_000, DUE: round(now) + 60_000}) < 61
    assert still_to_wait({MORE: 5000, DUE: round(now) - 1}) == 0
    assert still_to_wait({DUE: round(now) + 5000}) == 0
    assert still_to_wait(None) == 0
