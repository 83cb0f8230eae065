"""The one Redis server that all tests of a process share, each under a key prefix of its own."""

import atexit
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from redis import Redis
from support.redis_server import RedisServer

__all__ = ["RedisServer", "SharedRedis", "fresh_prefix", "redis_prefix", "shared_redis"]

URL_VARIABLE = "TASKIQ_TEST_REDIS_URL"
"""Environment variable with the URL of a server to use instead of one that is started here."""


@dataclass(frozen=True)
class SharedRedis:
    """A server that others use too: never flush it, end it or change its settings."""

    url: str

    def client(self) -> Redis:
        """A blocking client for what a test has to arrange or look at; use it as a context manager."""
        return Redis.from_url(self.url, decode_responses=True)


@cache
def shared_redis() -> SharedRedis:
    """The server named by the environment, or else one of this process's own, which the first call starts.

    A plain function, for tests that have no fixtures too. Skips the test that asks, if no server can be had.
    """
    return SharedRedis(os.environ.get(URL_VARIABLE) or _start_shared().url)


def fresh_prefix() -> str:
    """A text that no other test's keys begin with."""
    return f"test-{secrets.token_hex(8)}"


@contextmanager
def redis_prefix() -> Generator[str]:
    """A fresh prefix; the keys below it are deleted from the shared server afterwards."""
    prefix = fresh_prefix()
    try:
        yield prefix
    finally:
        with shared_redis().client() as client:
            for key in client.scan_iter(f"*{prefix}*", count=1000):
                client.unlink(key)


def _start_shared() -> RedisServer:
    server = RedisServer().start()
    owner = os.getpid()

    def close() -> None:
        if os.getpid() == owner:  # and not a fork of it
            server.close()

    atexit.register(close)
    return server
