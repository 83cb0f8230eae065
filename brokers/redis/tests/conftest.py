"""What the tests of the Redis broker share."""

import pytest
from support.redis_fixtures import redis_prefix, redis_url, start_redis

__all__ = ["redis_prefix", "redis_url", "start_redis"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """redis-py's asynchronous half needs asyncio."""
    return "asyncio"
