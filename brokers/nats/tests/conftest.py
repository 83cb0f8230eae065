"""What the tests of the NATS broker share."""

import pytest
from support.nats_fixtures import nats_prefix, nats_url, start_nats

__all__ = ["nats_prefix", "nats_url", "start_nats"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The connection needs asyncio."""
    return "asyncio"
