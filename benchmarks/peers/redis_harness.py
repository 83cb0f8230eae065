"""What the scripts of peers on Redis share."""

import sys

from harness import SLOTS, TTL, run, tick
from redis_results import RedisResults

from benchmarks.redis_server import RedisServer

__all__ = ["SERVER", "SLOTS", "TTL", "Peer", "run", "tick"]

SERVER = RedisServer.named(sys.argv[1])


class Peer(RedisResults):
    """One on that server."""

    keeper = SERVER
