"""What the scripts of peers on Redis share."""

import sys
from abc import abstractmethod

import harness
from harness import SLOTS, TTL, run, tick

from benchmarks.redis_server import RedisServer

__all__ = ["SERVER", "SLOTS", "TTL", "Peer", "run", "tick"]

SERVER = RedisServer.named(sys.argv[1])


class Peer(harness.Peer):
    """One that keeps its results under keys of a pattern."""

    @property
    @abstractmethod
    def results(self) -> str:
        """The pattern."""

    async def stored(self) -> int:
        return int(SERVER.command("EVAL", "return #redis.call('KEYS', ARGV[1])", "0", self.results))
