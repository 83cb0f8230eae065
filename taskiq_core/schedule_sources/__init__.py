"""Schedule sources that come with the core."""

from taskiq_core.schedule_sources.label_based import LabelScheduleSource

__all__ = ["LabelScheduleSource"]
