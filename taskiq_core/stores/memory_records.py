"""Task records in memory."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from taskiq_core import clock
from taskiq_core.abc.records import RecordPage, RecordStore
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.stores.record_fold import RecordFold
from taskiq_core.stores.record_pages import begin_of, earliest, page_of


class MemoryRecords(RecordStore):
    """Keeps the records of the last `max_records` tasks; for one event loop."""

    max_records: int = 100_000

    def __init__(self) -> None:
        self._folds: dict[str, RecordFold] = {}

    async def record(self, transitions: Sequence[Transition]) -> None:
        for step in transitions:
            fold = self._folds.get(step.task_id)
            if fold is None:
                fold = self._folds[step.task_id] = RecordFold(step.task_id)
            fold.add(step)
        while len(self._folds) > self.max_records:
            del self._folds[next(iter(self._folds))]

    async def get_records(self, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
        return {task_id: self._folds[task_id].record() for task_id in task_ids if task_id in self._folds}

    async def list_records(
        self,
        *,
        task_name: str | None = None,
        status: TaskStatus | None = None,
        since: float | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> RecordPage:
        begin = begin_of(cursor)

        def wanted(fold: RecordFold) -> bool:
            return (
                _age(fold) < begin
                and (task_name is None or fold.record().task_name == task_name)
                and (status is None or fold.status is status)
            )

        found = filter(wanted, sorted(self._since(since), key=_age, reverse=True))
        return page_of(list(islice(found, limit + 1)), limit)

    async def count_by_status(self, *, since: float | None = None) -> dict[TaskStatus, int]:
        return dict(Counter(fold.status for fold in self._since(since)))

    async def cleanup(self, *, older_than: float) -> int:
        limit = clock.time() - older_than
        records = [fold.record() for fold in self._folds.values()]
        old = [item.task_id for item in records if item.finished_at is not None and item.finished_at < limit]
        for task_id in old:
            del self._folds[task_id]
        return len(old)

    def _since(self, since: float | None) -> list[RecordFold]:
        return [fold for fold in self._folds.values() if fold.first_seen >= earliest(since)]


def _age(fold: RecordFold) -> tuple[float, str]:
    return (fold.first_seen, fold.task_id)
