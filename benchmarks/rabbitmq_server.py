"""What is measured on RabbitMQ: a virtual host for the messages and, as it keeps no results, a Redis server for those."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from benchmarks.rabbitmq_node import rabbit_node
from benchmarks.redis_server import RedisServer, redis_server
from benchmarks.server import LOOPBACK, Server


@dataclass(frozen=True)
class RabbitServer(Server):
    """Both, running."""

    host: str
    redis: RedisServer

    @classmethod
    def named(cls, name: str) -> Self:
        port, pid, host, redis = name.split(":", 3)
        return cls(int(port), int(pid), host, RedisServer.named(redis))

    @property
    def name(self) -> str:
        return f"{self.port}:{self.pid}:{self.host}:{self.redis.name}"

    @property
    def url(self) -> str:
        """Of the virtual host."""
        return f"amqp://guest:guest@{LOOPBACK}:{self.port}/{self.host}"

    def cpu(self) -> float:
        return super().cpu() + self.redis.cpu()


@contextmanager
def rabbitmq_server() -> Generator[RabbitServer]:
    """Both, empty, for the length of the block."""
    node = rabbit_node()
    with redis_server() as redis, node.host() as host:
        yield RabbitServer(node.port, node.pid, host, redis)
