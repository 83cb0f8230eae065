"""Redis schedule source for taskiq_core."""

from taskiq_core_schedule_sources_redis.source import RedisScheduleSource

__all__ = ["RedisScheduleSource"]
