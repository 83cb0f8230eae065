"""SQLite schedule source for taskiq_core."""

from taskiq_core_schedule_sources_sqlite.source import SQLiteScheduleSource

__all__ = ["SQLiteScheduleSource"]
