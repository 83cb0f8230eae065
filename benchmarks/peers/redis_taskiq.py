"""taskiq with taskiq-redis, see `taskiq_peer.py`: a stream."""

import uvloop
from redis_harness import SERVER, TTL, Peer, run
from taskiq_peer import TaskiqPeer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker


class OnRedis(TaskiqPeer, Peer):
    results = "[0-9a-f]*"


results = RedisAsyncResultBackend(SERVER.url, result_ex_time=TTL)
run(OnRedis(RedisStreamBroker(SERVER.url).with_result_backend(results)), uvloop.run)
