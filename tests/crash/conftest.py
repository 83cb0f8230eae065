"""Every crash test gets an arena, which is empty of processes at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from arena import Arena


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    place = Arena(tmp_path)
    try:
        yield place
    finally:
        place.reap()
