"""PostgreSQL schedule source for taskiq_core."""

from taskiq_core_schedule_sources_postgres.source import PostgresScheduleSource

__all__ = ["PostgresScheduleSource"]
