"""Every crash test gets an arena, which is empty of processes at the end.

A test runs in files and on Redis, unless it is marked with one of the `on_…` of `crash_support`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arena import Arena
from crash_stores import SQLiteStore
from server_stores import NatsStore, PostgresStore, RabbitStore, RedisStore, ServerStore

SERVERS: dict[str, type[ServerStore]] = {
    "redis": RedisStore,
    "postgres": PostgresStore,
    "nats": NatsStore,
    "rabbitmq": RabbitStore,
}


@pytest.fixture(params=["sqlite", "redis"])
def arena(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Arena[Any]]:
    store = SQLiteStore(tmp_path) if request.param == "sqlite" else SERVERS[request.param]()
    place = Arena(tmp_path, store)
    try:
        yield place
    finally:
        place.reap()
        store.close()
