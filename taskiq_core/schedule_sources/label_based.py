"""Schedules that stand beside their tasks in code."""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.labels import EXPIRES, SCHEDULE
from taskiq_core.schedule import ScheduledTask, spec_fields
from taskiq_core.wire import pack

logger = logging.getLogger("taskiq.scheduler")

_TIMES = ("cron", "interval", "time")


class LabelScheduleSource(ScheduleSource):
    """Reads `schedule=` of a broker's tasks: `Cron`, `Every` and `At`, or Taskiq's list of dicts. Read-only.

    A schedule's id is its name if it has one, else made of the task and what the schedule says: the same in every process
    and after every start, until the code changes. One-off schedules are dropped once they have fired; other processes and
    later starts know of that by the scheduler's coordinator. Without one, a time that has passed fires at every start.
    """

    keeps_one_off = True

    def __init__(self, broker: AsyncBroker) -> None:
        self.broker = broker
        self._fired: set[str] = set()
        self._reported: set[str] = set()

    async def get_schedules(self) -> list[ScheduledTask]:
        return [
            schedule
            for task in self.broker.get_all_tasks().values()
            for schedule in self._schedules_of(task)
            if schedule.schedule_id not in self._fired
        ]

    def post_send(self, task: ScheduledTask) -> None:
        if task.is_one_off:
            self._fired.add(task.schedule_id)

    def _schedules_of(self, task: AnyTask) -> Iterator[ScheduledTask]:
        # Equal schedules of one task are told apart by their number.
        seen: dict[str, int] = {}
        for fields in (*map(spec_fields, task.options.schedule), *_dicts_of(task)):
            try:
                if "schedule_id" not in fields:
                    name = _id_of(task, fields)
                    seen[name] = seen.get(name, 0) + 1
                    fields["schedule_id"] = name if seen[name] == 1 else f"{name}-{seen[name]}"
                own: dict[str, Any] = fields.pop("labels", {})
                yield ScheduledTask(task_name=task.task_name, labels={**own, **self._labels_of(task)}, **fields)
            except (ValidationError, TypeError, ValueError) as error:
                self._report(f"A schedule of task {task.task_name} is left out: {error}")

    def _labels_of(self, task: AnyTask) -> dict[str, Any]:
        labels = self.broker.kicker(task).labels
        EXPIRES.set(labels, task.options.expires)
        return labels

    def _report(self, problem: str) -> None:
        if problem not in self._reported:
            self._reported.add(problem)
            logger.error(problem)


def _dicts_of(task: AnyTask) -> Iterator[dict[str, Any]]:
    items = cast("Sequence[Mapping[str, Any]]", task.labels.get(SCHEDULE) or ())
    for item in items:
        if any(item.get(name) is not None for name in _TIMES):
            known = {
                name: item[name] for name in ScheduledTask.model_fields.keys() - {"task_name"} if item.get(name) is not None
            }
            known["cron"] = str(known["cron"]) if "cron" in known else None
            yield known


def _id_of(task: AnyTask, fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(pack([task.task_name, sorted(fields.items())])).hexdigest()[:32]
