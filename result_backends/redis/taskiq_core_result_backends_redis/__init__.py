"""Redis result backend for taskiq_core."""

from taskiq_core_result_backends_redis.results import RedisResultBackend

__all__ = ["RedisResultBackend"]
