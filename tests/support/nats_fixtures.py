"""Fixtures of the NATS tests; a conftest.py imports them by name."""

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest
from support import nats_servers
from support.nats_server import NatsServer

StartNats = Callable[..., NatsServer]


@pytest.fixture(scope="session")
def nats_url() -> str:
    """The URL of the shared server."""
    return nats_servers.shared_nats().url


@pytest.fixture
def nats_prefix() -> Generator[str]:
    """A text for this test's names of streams to have; those streams are deleted afterwards."""
    with nats_servers.nats_prefix() as prefix:
        yield prefix


@pytest.fixture
def start_nats() -> Generator[StartNats]:
    """Starts private servers, with the arguments of `NatsServer`, that are gone after the test."""
    with ExitStack() as stack:
        yield lambda *config, **options: stack.enter_context(NatsServer(*config, **options))
