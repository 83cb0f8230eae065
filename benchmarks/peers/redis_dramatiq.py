"""dramatiq on Redis, see `dramatiq_peer.py`."""

from functools import partial

from dramatiq.brokers.redis import RedisBroker
from dramatiq_peer import DramatiqPeer
from redis_harness import SERVER, Peer, run


class OnRedis(DramatiqPeer, Peer):
    pass


run(OnRedis(partial(RedisBroker, url=SERVER.url)))
