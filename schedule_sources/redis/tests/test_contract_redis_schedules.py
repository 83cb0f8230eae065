"""The Redis schedule source keeps the laws of schedule sources."""

from contextlib import asynccontextmanager
from functools import partial

from support.redis_servers import redis_prefix, shared_redis

from taskiq_core.testing.schedule_suite import ScheduleSourceContract
from taskiq_core_schedule_sources_redis import RedisScheduleSource


class TestRedisScheduleSource(ScheduleSourceContract):
    backends = ("asyncio",)

    @asynccontextmanager
    async def fresh_store(self):
        with redis_prefix() as prefix:
            yield partial(RedisScheduleSource, shared_redis().url, prefix=prefix)
