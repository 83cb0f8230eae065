"""Fixtures of the Redis tests; a conftest.py imports them by name."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from support import redis_servers
from support.redis_server import RedisServer

StartRedis = Callable[..., RedisServer]


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The URL of the shared server."""
    return redis_servers.shared_redis().url


@pytest.fixture
def redis_prefix() -> Generator[str]:
    """A text for this test's keys to begin with; they are deleted afterwards."""
    with redis_servers.redis_prefix() as prefix:
        yield prefix


@pytest.fixture
def start_redis() -> Generator[StartRedis]:
    """Starts private servers, with the arguments of `RedisServer`, that are gone after the test."""
    with ExitStack() as stack:
        yield lambda *config, **options: stack.enter_context(RedisServer(*config, **options))
