"""What the scripts of peers on RabbitMQ share: all keep their results in Redis."""

import sys

from harness import SLOTS, TTL, run
from redis_results import RedisResults

from benchmarks.rabbitmq_server import RabbitServer

__all__ = ["SERVER", "SLOTS", "TTL", "Peer", "run"]

SERVER = RabbitServer.named(sys.argv[1])


class Peer(RedisResults):
    """One on that server, with its results on the Redis server beside it."""

    keeper = SERVER.redis

    def server(self) -> RabbitServer:
        return SERVER
