"""What one source has planned, and how far its schedules have been looked at. No I/O."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.due import OnceTimetable, Timetable, due_times, last_due_time, timetable
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.scheduler.fire import GRACE, MISFIRE_MEMORY, Fire

logger = logging.getLogger("taskiq.scheduler")

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_AT_ONCE = 1000
"""Most fires of one schedule that one look makes up; the next look goes on."""


@dataclass(slots=True)
class Entry:
    """A schedule that may fire. `key` stands for it and its times: other times, another key."""

    schedule: ScheduledTask
    times: Timetable
    key: str
    looked_until: datetime = _BEGINNING
    next: datetime | None = None

    @property
    def one_off(self) -> bool:
        return isinstance(self.times, OnceTimetable)

    @property
    def looks_back(self) -> timedelta:
        """How old a fire may be to be made up after a time without schedulers."""
        return GRACE if self.schedule.misfire == "skip" else MISFIRE_MEMORY

    def look_from(self, moment: datetime) -> None:
        self.looked_until = moment
        self.next = self.times.next_after(moment)

    def take(self, now: datetime) -> list[datetime]:
        """The due times to make a fire of, by the schedule's misfire policy; looked at once, they are passed."""
        start, limit = self.looked_until, now
        if self.one_off or self.schedule.misfire == "all":
            found = list(islice(due_times(self.times, start, now), _AT_ONCE))
            limit = found[-1] if len(found) == _AT_ONCE else now
        else:
            recent = max(start, now - GRACE)
            found = list(due_times(self.times, recent, now))
            if not found:
                missed = last_due_time(self.times, start, recent) if self.schedule.misfire == "once" else None
                found = [missed] if missed is not None else []
                if missed is None:
                    logger.warning("Schedule %s was missed for over a minute; going on.", self.schedule.schedule_id)
        self.look_from(limit)
        return found


class Agenda:
    """The entries of one source."""

    def __init__(self, source: ScheduleSource, *, coordinated: bool) -> None:
        self.source = source
        self._coordinated = coordinated
        self._entries: dict[str, Entry] = {}
        self._refused: dict[str, str] = {}
        self._paused: set[str] = set()
        self._newly_paused: set[str] = set()

    def read(self, schedules: Sequence[ScheduledTask]) -> dict[str, Entry]:
        """Compile those that may fire. Others are left out: paused ones quietly, wrong ones with one line in the log."""
        paused = {_key(schedule) for schedule in schedules if schedule.paused}
        self._paused, self._newly_paused = paused, paused - self._paused
        entries: dict[str, Entry] = {}
        refused: dict[str, str] = {}
        for schedule in schedules:
            if schedule.paused:
                continue
            name = schedule.schedule_id
            try:
                entries[name] = self._compile(schedule, entries)
            except ConfigurationError as error:
                refused[name] = str(error)
                if self._refused.get(name) != refused[name]:
                    logger.error("Schedule %s of task %s is left out: %s", name, schedule.task_name, error)
        self._refused = refused
        return entries

    def replace(self, entries: dict[str, Entry], since: Mapping[str, datetime], now: datetime) -> set[str]:
        """Take over what `read` gave; new ones look back to `since` (by key), else start now.

        :return: the keys of those that are gone or paused, whose past is to be forgotten.
        """
        old, self._entries = self._entries, entries
        for name, entry in entries.items():
            known = old.get(name)
            if known is not None and known.key == entry.key:
                entry.looked_until, entry.next = known.looked_until, known.next
            elif entry.one_off:
                entry.look_from(_BEGINNING)
            else:
                entry.look_from(max(since.get(entry.key, now), now - entry.looks_back))
        return ({entry.key for entry in old.values()} | self._newly_paused) - {entry.key for entry in entries.values()}

    def take_due(self, now: datetime) -> list[Fire]:
        """All fires due by now, each given once."""
        return [
            Fire(self.source, entry.schedule, entry.times, due)
            for entry in self._entries.values()
            if entry.next is not None and entry.next <= now
            for due in entry.take(now)
        ]

    def next_due(self) -> datetime | None:
        """When there will be something to take; None if never."""
        return min((entry.next for entry in self._entries.values() if entry.next is not None), default=None)

    def again(self, fire: Fire) -> None:
        """Give a one-off fire once more, if its schedule still stands."""
        entry = self._entries.get(fire.schedule.schedule_id)
        if entry is not None and entry.times == fire.times:
            entry.look_from(_BEGINNING)

    def _compile(self, schedule: ScheduledTask, others: Mapping[str, Entry]) -> Entry:
        if schedule.schedule_id in others:
            raise ConfigurationError(reason="Another schedule of this source has the same id.")
        known = self._entries.get(schedule.schedule_id)
        key = _key(schedule)
        if known is not None and known.key == key:
            return Entry(schedule, known.times, key)
        if schedule.misfire != "skip" and not self._coordinated:
            reason = (
                f"misfire={schedule.misfire!r} needs a memory that outlives the scheduler. "
                "Give the scheduler a coordinator, or the broker a result backend that is one (those of SQLite and Redis are)."
            )
            raise ConfigurationError(reason=reason)
        return Entry(schedule, timetable(schedule), key)


def _key(schedule: ScheduledTask) -> str:
    when = (schedule.schedule_id, schedule.cron, schedule.cron_offset, schedule.time, schedule.interval, schedule.misfire)
    return hashlib.sha256(repr(when).encode()).hexdigest()[:32]
