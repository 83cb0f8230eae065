"""Whatever text names a queue, what is held of it is given back when its holder leaves."""

import pytest
from support.redis_servers import redis_prefix, shared_redis
from support.redis_traffic import started

from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_redis import RedisBroker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("queue", ["two\nlines", "a:b", "{c}", "ключ ☃", " "])
async def test_leaving_gives_back_at_once(queue: str) -> None:
    with redis_prefix() as prefix:
        async with started(RedisBroker(shared_redis().url, prefix=prefix)) as broker:
            await broker.kick_many([BrokerMessage("one", "t", b"body", queue=queue)])
            async with broker.subscribe([queue]) as subscription:
                (held,) = await subscription.receive(1)
            assert broker.admin is not None
            depth = await broker.admin.depth(queue)
    assert (held.queue, depth.ready, depth.leased) == (queue, 1, 0)
