"""Fixtures of the RabbitMQ tests; a conftest.py imports them by name."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from support import rabbitmq_servers
from support.rabbitmq_server import RabbitServer

StartRabbit = Callable[..., RabbitServer]


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """The URL of the shared server."""
    return rabbitmq_servers.shared_rabbitmq()


@pytest.fixture
def rabbitmq_prefix() -> str:
    """A text for the names of this test's queues and exchanges to begin with."""
    return rabbitmq_servers.fresh_prefix()


@pytest.fixture
def start_rabbitmq() -> Generator[StartRabbit]:
    """Starts private servers, with the arguments of `RabbitServer`, that are gone after the test."""
    with ExitStack() as stack:
        yield lambda *config, **options: stack.enter_context(RabbitServer(*config, **options))
