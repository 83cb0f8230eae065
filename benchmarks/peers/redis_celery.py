"""celery on Redis, see `celery_peer.py`."""

from celery_peer import CeleryPeer
from redis_harness import SERVER, Peer, run


class OnRedis(CeleryPeer, Peer):
    pass


run(OnRedis(SERVER.url))
