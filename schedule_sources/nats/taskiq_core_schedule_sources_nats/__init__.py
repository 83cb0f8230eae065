"""NATS schedule source for taskiq_core."""

from taskiq_core_schedule_sources_nats.source import NatsScheduleSource

__all__ = ["NatsScheduleSource"]
