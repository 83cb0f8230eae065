"""One due moment of one schedule."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.due import OnceTimetable, Timetable
from taskiq_core.labels import EXPIRES, EXPIRES_AT, LOCAL_ONLY, SCHEDULE_ID
from taskiq_core.message import TaskiqMessage
from taskiq_core.schedule import ScheduledTask

GRACE: Final = timedelta(seconds=60)
"""A fire up to this late is still made, by whichever scheduler finds that nobody made it."""
MISFIRE_MEMORY: Final = timedelta(days=7)
"""How far back `misfire="once"` and `"all"` look; after a longer time without a scheduler, a schedule counts as new."""
_DAY: Final = timedelta(days=1)
_YEARS: Final = timedelta(days=3650)


@dataclass(frozen=True)
class Fire:
    """`schedule` is due at `due`: to be made once by all schedulers together."""

    source: ScheduleSource
    schedule: ScheduledTask
    times: Timetable
    due: datetime

    def __str__(self) -> str:
        return f"Fire of schedule {self.schedule.schedule_id} due {self.due}"

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits of schedule id and due time: the same in every scheduler."""
        name = f"{self.schedule.schedule_id}\n{self.due.isoformat()}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    @property
    def one_off(self) -> bool:
        """Whether it is the only one of its schedule."""
        return isinstance(self.times, OnceTimetable)

    @property
    def leaves_the_source(self) -> bool:
        """Whether its schedule is forgotten once it has been made."""
        return self.one_off and not self.source.keeps_one_off

    @property
    def remembered_for(self) -> timedelta:
        """How long it has to be known as done: until nobody would take it for missed."""
        if self.one_off:
            return _YEARS
        following = self.times.next_after(self.due)
        gaps = _DAY if following is None else 2 * (following - self.due)
        return max(_DAY, gaps, MISFIRE_MEMORY + _DAY if self.schedule.misfire == "all" else _DAY)

    def message(self, now: datetime) -> TaskiqMessage:
        """What to send; the fire's id is the task's, unless the schedule brings one of its own."""
        labels = {name: value for name, value in self.schedule.labels.items() if name not in LOCAL_ONLY}
        expires = EXPIRES.get(labels)
        EXPIRES.set(labels, None)
        if expires is not None:
            EXPIRES_AT.set(labels, now.timestamp() + expires)
        SCHEDULE_ID.set(labels, self.schedule.schedule_id)
        task_id = self.schedule.task_id or self.id
        return TaskiqMessage(task_id, self.schedule.task_name, labels, list(self.schedule.args), dict(self.schedule.kwargs))
