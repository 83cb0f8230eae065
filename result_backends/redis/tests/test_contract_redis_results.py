"""The Redis backend keeps the laws of result backends."""

from contextlib import asynccontextmanager
from functools import partial

from support.redis_servers import redis_prefix, shared_redis

from taskiq_core.testing.result_backend_suite import ResultBackendContract
from taskiq_core_result_backends_redis import RedisResultBackend


class TestRedisResultBackend(ResultBackendContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with redis_prefix() as prefix:
            yield partial(RedisResultBackend, shared_redis().url, prefix=prefix)
