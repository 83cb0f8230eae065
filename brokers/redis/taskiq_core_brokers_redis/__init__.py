"""Redis broker for taskiq_core, and the connection that all Redis plugins share."""

from taskiq_core_brokers_redis.broker import RedisBroker
from taskiq_core_brokers_redis.errors import RedisError, UnusableRedisError
from taskiq_core_brokers_redis.subscription import RedisSubscription

__all__ = ["RedisBroker", "RedisError", "RedisSubscription", "UnusableRedisError"]
