"""What the tests of the Redis result backend share."""

from collections.abc import AsyncGenerator

import pytest
from support.redis_fixtures import redis_prefix, redis_url, start_redis

from taskiq_core_result_backends_redis import RedisResultBackend

__all__ = ["redis_prefix", "redis_url", "start_redis"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """redis-py's asynchronous half needs asyncio."""
    return "asyncio"


@pytest.fixture
async def backend(redis_url: str, redis_prefix: str) -> AsyncGenerator[RedisResultBackend]:
    """A started backend with keys of its own on the shared server."""
    made: RedisResultBackend = RedisResultBackend(redis_url, prefix=redis_prefix)
    await made.startup()
    yield made
    await made.shutdown()
