"""Every crash test gets an arena, which is empty of processes at the end.

A test runs on each kind of store, unless it is marked with `on_sqlite` or `on_redis`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arena import Arena
from crash_stores import RedisStore, SQLiteStore


@pytest.fixture(params=["sqlite", "redis"])
def arena(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Arena[Any]]:
    store = SQLiteStore(tmp_path) if request.param == "sqlite" else RedisStore()
    place = Arena(tmp_path, store)
    try:
        yield place
    finally:
        place.reap()
        store.close()
