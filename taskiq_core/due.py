"""When a schedule is due: pure functions of the schedule and a moment, so that every scheduler comes to the same answer.

Which time counts where a schedule has several: `cron`, then `time`, then `interval`.

**Cron and the two days a year on which clocks are changed.** A job with `*` as its hour goes by elapsed time: every hour
and every quarter of an hour that really passes has its fire. Any other job names times of the day, and each of those has
one fire a day: a time that does not exist (02:30 when the clock is put forward from 02:00 to 03:00) is due at the first
moment after the gap, a time that comes twice is due when it comes first.

**Intervals lie on a grid** that begins at 1970-01-01T00:00Z: a schedule of 15 minutes is due at :00, :15, :30 and :45,
whoever asks and however often schedulers are started anew.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, CroniterError, croniter  # pyright: ignore
from pydantic import TypeAdapter, ValidationError

from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask, ScheduleSpec, spec_fields

_croniter: Any = croniter  # the package ships no types
_distance = TypeAdapter(timedelta)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Timetable(Protocol):
    """The due times of one schedule."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due time later than `moment` (aware), in UTC; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class CronTimetable:
    """By a cron expression in a time zone."""

    expression: str
    zone: tzinfo
    every_hour: bool

    def next_after(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self.zone)
        try:
            if self.every_hour:
                found: datetime = _croniter(self.expression, local).get_next(datetime)
                return found.astimezone(UTC)
            times: Any = _croniter(self.expression, local.replace(tzinfo=None))
            while True:
                # What the clock on the wall shows is mapped to moments in non-decreasing order, so the first that is later
                # than `moment` is the earliest.
                due = _moment_of(times.get_next(datetime), self.zone)
                if due > moment:
                    return due
        except CroniterBadDateError:
            return None


@dataclass(frozen=True, slots=True)
class IntervalTimetable:
    """Every so often, on the grid."""

    interval: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        return _EPOCH + ((moment - _EPOCH) // self.interval + 1) * self.interval


@dataclass(frozen=True, slots=True)
class OnceTimetable:
    """At one time."""

    time: datetime

    def next_after(self, moment: datetime) -> datetime | None:
        return self.time if self.time > moment else None


def timetable(schedule: ScheduledTask) -> Timetable:
    """Compile a schedule's times.

    :raises ConfigurationError: for a cron expression or a time zone that cannot be read, in a sentence.
    """
    if schedule.cron is not None:
        return _cron_timetable(schedule.cron, schedule.cron_offset)
    if schedule.time is not None:
        naive = schedule.time.tzinfo is None
        return OnceTimetable(schedule.time.replace(tzinfo=UTC) if naive else schedule.time.astimezone(UTC))
    interval = schedule.interval
    return IntervalTimetable(interval if isinstance(interval, timedelta) else timedelta(seconds=interval or 1))


def due_times(times: Timetable, after: datetime, until: datetime) -> Iterator[datetime]:
    """All due times later than `after` and not later than `until`, in order."""
    due = times.next_after(after)
    while due is not None and due <= until:
        yield due
        due = times.next_after(due)


def last_due_time(times: Timetable, after: datetime, until: datetime) -> datetime | None:
    """The last of `due_times`; looks back in growing steps, so that a long time costs little."""
    span = timedelta(minutes=1)
    while True:
        start = max(after, until - span)
        found = list(due_times(times, start, until))
        if found or start == after:
            return found[-1] if found else None
        span *= 2


def _cron_timetable(expression: str, offset: str | timedelta | None) -> CronTimetable:
    if re.search(r"\br\b", expression, re.IGNORECASE):
        # croniter would draw the time by lot, and two schedulers would not draw the same one.
        raise _refusal(expression, "random fields are not supported")
    zone = _zone(expression, offset)
    try:
        hours = _croniter.expand(expression)[0][1]
        _croniter(expression, datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except CroniterBadDateError:
        raise _refusal(expression, "it is never due") from None
    except CroniterError as error:
        raise _refusal(expression, str(error)) from error
    return CronTimetable(expression, zone, every_hour=hours == ["*"])


def _zone(expression: str, offset: str | timedelta | None) -> tzinfo:
    if offset is None:
        return UTC
    try:
        if isinstance(offset, timedelta):
            return timezone(offset)
        return ZoneInfo(offset)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    try:
        # Taskiq's sources write a distance from UTC as ISO 8601 text.
        return timezone(_distance.validate_python(offset))
    except ValueError:
        raise _refusal(expression, f"there is no time zone {offset!r}") from None


def _refusal(expression: str, why: str) -> ConfigurationError:
    return ConfigurationError(reason=f"The cron schedule {expression!r} cannot be used: {why}.")


def _moment_of(wall: datetime, zone: tzinfo) -> datetime:
    """When the clock on the wall shows this for the first time; the first moment after the gap if it never does."""
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    # In a gap, fold=0 lands behind it by as much as the time lies within it, and fold=1 before it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while moment - before > _MICROSECOND:
        middle = before + (moment - before) // 2
        before, moment = (middle, moment) if middle.astimezone(zone).utcoffset() == offset else (before, middle)
    return moment


def check_spec(spec: ScheduleSpec) -> None:
    """Find mistakes in a schedule where it is written.

    :raises ConfigurationError: for an expression, a zone, an interval or a time that cannot be read.
    """
    try:
        timetable(ScheduledTask(task_name="?", **spec_fields(spec)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"][:1])
        raise ConfigurationError(reason=f"{spec!r}: {field or 'it'} cannot be read: {first['msg']}") from None
