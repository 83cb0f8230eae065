"""Fixtures of the tests of outboxes; a test file imports them by name."""

from collections.abc import Generator
from pathlib import Path

import pytest
from support.outboxes import KINDS, Database, database

__all__ = ["anyio_backend", "home"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The servers' plugins need asyncio."""
    return "asyncio"


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    """The application's database, of each kind."""
    with database(request.param, tmp_path, lease=2.0) as home:
        yield home
