"""Shared state in memory: what a result backend inherits to be a record store and a coordinator too."""

from taskiq_core.stores.memory_coordinator import MemoryCoordinator
from taskiq_core.stores.memory_records import MemoryRecords
from taskiq_core.stores.record_fold import RecordFold

__all__ = ["MemoryCoordinator", "MemoryRecords", "RecordFold"]
