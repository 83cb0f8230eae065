"""What is remembered about a task beyond its result."""

import enum
from dataclasses import dataclass


class TaskStatus(str, enum.Enum):
    """Where a task stands. The last four are final."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"

    @property
    def is_final(self) -> bool:
        """True if no transition can follow but a retry by hand."""
        return self in _FINAL


_FINAL = frozenset({TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.REJECTED})


@dataclass(slots=True)
class Transition:
    """One step of one task. Times are seconds since the epoch."""

    task_id: str
    status: TaskStatus
    at: float
    task_name: str = ""
    queue: str | None = None
    worker: str | None = None
    attempt: int | None = None
    error: str | None = None
    """Type and text, one line; for RETRYING, FAILED, CANCELLED, REJECTED."""


@dataclass(slots=True)
class TaskRecord:
    """All that is known about one task. Times are seconds since the epoch, None where it has not happened."""

    task_id: str
    task_name: str
    status: TaskStatus
    queue: str | None = None
    worker: str | None = None
    attempts: int = 0
    error: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
