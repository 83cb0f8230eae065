"""A schedule as a value of the bucket."""

from taskiq_core.schedule import ScheduledTask
from taskiq_core.wire import pack, unpack


def entry_of(schedule: ScheduledTask) -> bytes:
    """What to store.

    :raises TypeError: for an argument or a label that cannot be sent as data.
    """
    return pack(schedule.model_dump())


def schedule_of(entry: bytes) -> ScheduledTask:
    """What was stored.

    :raises ValueError: for an entry that another release wrote and this one cannot read.
    """
    return ScheduledTask.model_validate(unpack(entry))
