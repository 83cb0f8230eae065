"""A worker that was idle holds what comes next as safely as any other."""

import anyio
import pytest

from taskiq_core import BrokerMessage, Delivery, Settlement, Subscription, Verdict
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio

LEASE = 0.9


async def test_what_comes_late_in_an_idle_lease_stays_until_the_next_renewal(redis_url: str, redis_prefix: str) -> None:
    """A worker renews every third of a lease, whether it holds something or not."""
    broker = RedisBroker(redis_url, prefix=redis_prefix, lease=LEASE)
    taken: list[tuple[Subscription, Delivery]] = []

    async def work(subscription: Subscription) -> None:
        while True:
            taken.extend((subscription, delivery) for delivery in await subscription.receive(1))

    async def renew(subscription: Subscription) -> None:
        while True:
            await anyio.sleep(LEASE / 3)
            await subscription.extend([delivery for holder, delivery in taken[-1:] if holder is subscription])

    async with broker, broker.subscribe(["default"]) as one, broker.subscribe(["default"]) as other:
        async with anyio.create_task_group() as group:
            for subscription in (one, other):
                group.start_soon(work, subscription)
                group.start_soon(renew, subscription)
            for number in range(4):
                await anyio.sleep(0.85 * LEASE)
                await broker.kick(BrokerMessage(f"m{number}", "task", b"body"))
                await anyio.sleep(LEASE / 3)
                assert len(taken) == number + 1
                holder, delivery = taken[number]
                await anyio.sleep(LEASE)
                assert len(taken) == number + 1, "taken from a worker that was idle"
                assert await holder.extend([delivery]) == []
                await holder.settle([Settlement(delivery, Verdict.ACK)])
            group.cancel_scope.cancel()
