"""Fixtures that every test here may ask for."""

from pathlib import Path

import pytest
from support.rabbitmq_fixtures import rabbitmq_prefix, rabbitmq_url, start_rabbitmq
from support.redis_fixtures import redis_prefix, redis_url, start_redis

__all__ = ["rabbitmq_prefix", "rabbitmq_url", "redis_prefix", "redis_url", "start_rabbitmq", "start_redis"]


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both, always: without this fixture a missing trio would halve the suite in silence."""
    return request.param


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a database file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'jobs.db'}"
