"""What the scripts of peers that keep their results in Redis share, whatever brings their messages."""

from abc import abstractmethod

import harness

from benchmarks.redis_server import RedisServer


class RedisResults(harness.Peer):
    """One that keeps its results under keys of a pattern."""

    keeper: RedisServer

    @property
    @abstractmethod
    def results(self) -> str:
        """The pattern."""

    async def stored(self) -> int:
        return int(self.keeper.command("EVAL", "return #redis.call('KEYS', ARGV[1])", "0", self.results))
