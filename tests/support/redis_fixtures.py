"""Fixtures of the Redis tests; a conftest.py imports them by name."""

from collections.abc import Callable

from support import redis_servers
from support.redis_server import RedisServer
from support.server_fixtures import name_within, shared_url_of, starter_of

StartRedis = Callable[..., RedisServer]

redis_url = shared_url_of(RedisServer)
redis_prefix = name_within(redis_servers.redis_prefix)
start_redis = starter_of(RedisServer)
