"""Schedules as the bytes that a source stores; whether one is paused may stand beside them, where it is changed."""

import logging
from collections.abc import Iterable

from taskiq_core.schedule import ScheduledTask
from taskiq_core.wire import pack, unpack

logger = logging.getLogger("taskiq.scheduler")


def body_of(schedule: ScheduledTask) -> bytes:
    """What to store.

    :raises TypeError: for an argument or a label that cannot be sent as data.
    """
    return pack(schedule.model_dump())


def schedule_of(body: bytes, paused: bool | None = None) -> ScheduledTask:
    """What was stored. `paused` counts, where it is not None, rather than what the body says.

    :raises ValueError: for a body that another release wrote and this one cannot read.
    """
    fields = unpack(body)
    if not isinstance(fields, dict):
        msg = f"it is a {type(fields).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - as for other things that are not a schedule
    return ScheduledTask.model_validate(fields if paused is None else {**fields, "paused": paused})


class ScheduleReader:
    """Reads what is stored, and leaves out what cannot be read: that is an error in the log, once for each.

    :param place: where it is stored, as in "Redis at localhost:6379/0".
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._unreadable: set[bytes] = set()

    def read(self, rows: Iterable[tuple[bytes, bool | None]]) -> list[ScheduledTask]:
        """The schedules of bodies, each with what `schedule_of` takes besides."""
        schedules: list[ScheduledTask] = []
        for body, paused in rows:
            try:
                schedules.append(schedule_of(body, paused))
            except ValueError as error:
                self._report(body, error)
        return schedules

    def _report(self, body: bytes, error: ValueError) -> None:
        if body not in self._unreadable:
            self._unreadable.add(body)
            logger.error("A schedule in %s cannot be read and is left out: %s", self._place, error)
