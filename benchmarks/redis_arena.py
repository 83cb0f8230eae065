"""Clients and workers on a Redis server of their own."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.redis_server import RedisServer, redis_server
from benchmarks.workers import Arena


class RedisArena(Arena):
    """An arena that knows its server."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        super().__init__(folder, f"{server.url}?prefix=bench")
        self.server = server


@contextmanager
def redis_arena(*options: str) -> Generator[RedisArena]:
    """One on a new server, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-") as name, redis_server(*options) as server:
        yield RedisArena(Path(name), server)
