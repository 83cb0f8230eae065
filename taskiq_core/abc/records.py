"""What became of tasks, for people who ask later."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from taskiq_core.records import TaskRecord, TaskStatus, Transition


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records, newest first, and where the next page starts (None: nowhere)."""

    records: list[TaskRecord] = field(default_factory=list[TaskRecord])
    next_cursor: str | None = None


class RecordStore(ABC):
    """Folds transitions into one record per task.

    Laws: the order of arrival does not matter, only `Transition.at` (two workers' clocks aside): a transition older than
    the record's last one adds what it knows (times, attempts) but does not change the status; and a final status stays
    final until a PENDING, SCHEDULED or RETRYING transition that is newer.
    """

    @abstractmethod
    async def record(self, transitions: Sequence[Transition]) -> None:
        """Fold a batch in, in one round trip; repeating it changes nothing."""

    @abstractmethod
    async def get_records(self, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
        """Those that exist."""

    @abstractmethod
    async def list_records(
        self,
        *,
        task_name: str | None = None,
        status: TaskStatus | None = None,
        since: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RecordPage:
        """Newest first by the time they were first seen; `since` in seconds since the epoch."""

    @abstractmethod
    async def count_by_status(self, *, since: float | None = None) -> dict[TaskStatus, int]:
        """How many records stand where."""

    @abstractmethod
    async def cleanup(self, *, older_than: float) -> int:
        """Delete final records whose end is older than that many seconds; returns how many."""
