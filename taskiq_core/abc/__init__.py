"""The contracts: what a plugin implements and the core relies on. They import only the vocabulary."""

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, ClaimStore, Coordinator, RateLimit, SlotLimit
from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core.abc.formatter import TaskiqFormatter
from taskiq_core.abc.middleware import TaskiqMiddleware
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.abc.records import RecordPage, RecordStore
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.abc.schema_owner import SchemaOwner, SchemaVersion
from taskiq_core.abc.serializer import TaskiqSerializer
from taskiq_core.abc.subscription import Subscription

__all__ = [
    "Admission",
    "AdmissionRequest",
    "AsyncResultBackend",
    "Claim",
    "ClaimStore",
    "Coordinator",
    "Evacuation",
    "QueueAdmin",
    "QueueDepth",
    "RateLimit",
    "RecordPage",
    "RecordStore",
    "ScheduleSource",
    "SchemaOwner",
    "SchemaVersion",
    "SlotLimit",
    "Subscription",
    "TaskiqFormatter",
    "TaskiqMiddleware",
    "TaskiqSerializer",
    "Waiting",
]
