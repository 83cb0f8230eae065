"""What the scripts of peers on RabbitMQ share: all keep their results in Redis."""

import sys
from abc import abstractmethod

import harness
from harness import SLOTS, TTL, run, tick

from benchmarks.rabbitmq_server import RabbitServer

__all__ = ["SERVER", "SLOTS", "TTL", "Peer", "run", "tick"]

SERVER = RabbitServer.named(sys.argv[1])


class Peer(harness.Peer):
    """One that keeps its results under keys of a pattern."""

    @property
    @abstractmethod
    def results(self) -> str:
        """The pattern."""

    def server(self) -> RabbitServer:
        return SERVER

    async def stored(self) -> int:
        return int(SERVER.redis.command("EVAL", "return #redis.call('KEYS', ARGV[1])", "0", self.results))
