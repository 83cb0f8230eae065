"""taskiq with taskiq-aio-pika and taskiq-redis, see `taskiq_peer.py`."""

import uvloop
from rabbitmq_harness import SERVER, SLOTS, TTL, Peer, run
from taskiq_aio_pika import AioPikaBroker
from taskiq_peer import TaskiqPeer
from taskiq_redis import RedisAsyncResultBackend


class OnRabbit(TaskiqPeer, Peer):
    results = "[0-9a-f]*"
    drains = 2_000


results = RedisAsyncResultBackend(SERVER.redis.url, result_ex_time=TTL)
run(OnRabbit(AioPikaBroker(SERVER.url, qos=SLOTS).with_result_backend(results)), uvloop.run)
