"""The Redis backend keeps the laws of record stores."""

from contextlib import asynccontextmanager
from functools import partial

from support.redis_servers import redis_prefix, shared_redis

from taskiq_core.testing.record_suite import RecordStoreContract
from taskiq_core_result_backends_redis import RedisResultBackend


class TestRedisRecords(RecordStoreContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with redis_prefix() as prefix:
            yield partial(RedisResultBackend, shared_redis().url, prefix=prefix)
