"""The one Redis server that all tests of a process share, each under a key prefix of its own."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from support.redis_server import RedisServer
from support.shared_server import fresh_prefix, shared_url


@dataclass(frozen=True)
class SharedRedis:
    """A server that others use too: never flush it, end it or change its settings."""

    url: str

    def client(self) -> Redis:
        """A blocking client for what a test has to arrange or look at; use it as a context manager."""
        return Redis.from_url(self.url, decode_responses=True)


def shared_redis() -> SharedRedis:
    """See `shared_url`."""
    return SharedRedis(shared_url(RedisServer))


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
