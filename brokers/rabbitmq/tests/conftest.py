"""What the tests of the RabbitMQ broker share."""

import pytest
from support.rabbitmq_fixtures import rabbitmq_prefix, rabbitmq_url, start_rabbitmq

__all__ = ["rabbitmq_prefix", "rabbitmq_url", "start_rabbitmq"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The connection is a protocol of asyncio."""
    return "asyncio"
