"""The scheduler: sends what schedules say, when they say it."""

from taskiq_core.scheduler.clock import Clock, SystemClock
from taskiq_core.scheduler.scheduler import TaskiqScheduler

__all__ = ["Clock", "SystemClock", "TaskiqScheduler"]
