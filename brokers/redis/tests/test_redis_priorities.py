"""The lowest priority is not starved by a backlog of higher ones."""

import pytest
from support.redis_servers import redis_prefix, shared_redis
from support.redis_traffic import started

from taskiq_core.delivery import Settlement, Verdict
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_one_in_sixteen_comes_from_below(limit: int) -> None:
    with redis_prefix() as prefix:
        async with started(RedisBroker(shared_redis().url, prefix=prefix)) as broker:
            await broker.kick_many([BrokerMessage(f"high-{n}", "t", b"high", priority=9) for n in range(1600)])
            await broker.kick_many([BrokerMessage(f"low-{n}", "t", b"low", priority=0) for n in range(100)])
            async with broker.subscribe(["default"]) as subscription:
                order: list[bytes] = []
                while len(order) < 320:
                    taken = await subscription.receive(limit)
                    order += [item.body for item in taken]
                    await subscription.settle([Settlement(item, Verdict.ACK) for item in taken])
    assert 15 <= order[:320].count(b"low") <= 25
    assert order[0] == b"high"
