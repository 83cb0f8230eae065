"""The Redis broker keeps the laws of brokers."""

from contextlib import asynccontextmanager
from functools import partial

from support.redis_servers import redis_prefix, shared_redis

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_result_backends_redis import RedisResultBackend


class TestRedisBroker(BrokerContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with redis_prefix() as prefix:
            self._prefix = prefix
            yield partial(RedisBroker, shared_redis().url, prefix=prefix, lease=self.lease)

    def result_backend_beside(self, broker):
        return RedisResultBackend(shared_redis().url, prefix=self._prefix)
