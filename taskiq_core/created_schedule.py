"""A schedule made at run time."""

from datetime import datetime, timedelta
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.deduplication import Guard
from taskiq_core.due import timetable
from taskiq_core.idempotency import Idempotent
from taskiq_core.labels import EXPIRES, SCHEDULE_ID
from taskiq_core.schedule import ScheduledTask
from taskiq_core.task import AsyncTaskiqTask

R = TypeVar("R", default=Any)
R_co = TypeVar("R_co", covariant=True, default=Any)


class Kicks(Protocol[R_co]):
    """What a schedule needs of a kicker."""

    task_name: str
    labels: dict[str, Any]
    custom_task_id: str | None
    expires: float | None
    guard: Guard | None

    async def kiq(self, *args: Any, **kwargs: Any) -> AsyncTaskiqTask[R_co]: ...


class CreatedSchedule(Generic[R]):
    """A handle on a schedule in a source.

    `source` is where it lives, `task` what was stored there.
    """

    def __init__(self, kicker: Kicks[R], source: ScheduleSource, task: ScheduledTask) -> None:
        self._kicker = kicker
        self.source = source
        self.task = task

    def __repr__(self) -> str:
        return f"<schedule {self.schedule_id} of {self.task.task_name}>"

    @property
    def schedule_id(self) -> str:
        """The id under which the source knows it."""
        return self.task.schedule_id

    async def kiq(self) -> AsyncTaskiqTask[R]:
        """Send the task now, beside its schedule.

        :raises SendTaskError: if the broker did not take it.
        """
        return await self._kicker.kiq(*self.task.args, **self.task.kwargs)

    run_now = kiq

    async def pause(self) -> None:
        """Fire no more until `resume`; a scheduler knows within its refresh interval.

        :raises NotImplementedError: if the source cannot pause.
        :raises KeyError: if the schedule is gone.
        """
        await self.source.set_paused(self.schedule_id, True)
        self.task.paused = True

    async def resume(self) -> None:
        """Undo `pause`; what was due meanwhile is not made up.

        :raises NotImplementedError: if the source cannot pause.
        :raises KeyError: if the schedule is gone.
        """
        await self.source.set_paused(self.schedule_id, False)
        self.task.paused = False

    async def unschedule(self) -> None:
        """Delete it; one that is gone already is no error.

        :raises NotImplementedError: if the source is read-only.
        """
        await self.source.delete_schedule(self.schedule_id)


async def create_schedule(
    kicker: Kicks[R],
    source: ScheduleSource,
    args: list[Any],
    kwargs: dict[str, Any],
    *,
    cron: str | None = None,
    cron_offset: str | timedelta | None = None,
    interval: float | timedelta | None = None,
    time: datetime | None = None,
) -> CreatedSchedule[R]:
    """Store a schedule that sends what `kicker` would send; exactly one of `cron`, `interval` and `time` says when.

    :raises ConfigurationError: for a cron expression or a time zone that cannot be read.
    :raises ValueError: for an interval below one second, and beside `with_idempotency_key`.
    :raises NotImplementedError: if the source is read-only.
    """
    if isinstance(kicker.guard, Idempotent):
        msg = "an idempotency key makes one task, and a schedule makes many: drop with_idempotency_key()"
        raise ValueError(msg)  # noqa: TRY004 - what the caller gave is no type
    labels = dict(kicker.labels)
    EXPIRES.set(labels, kicker.expires)
    schedule_id = labels.pop(SCHEDULE_ID.name, None)
    schedule = ScheduledTask(
        task_name=kicker.task_name,
        labels=labels,
        args=args,
        kwargs=kwargs,
        task_id=kicker.custom_task_id,
        cron=cron,
        cron_offset=cron_offset,
        interval=interval,
        time=time,
        **({} if schedule_id is None else {"schedule_id": schedule_id}),
    )
    timetable(schedule)
    await source.add_schedule(schedule)
    return CreatedSchedule(kicker, source, schedule)
