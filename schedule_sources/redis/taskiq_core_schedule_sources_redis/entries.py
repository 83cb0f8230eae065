"""A schedule as a value of the hash: a digit that says whether it is paused, then everything else, packed."""

from taskiq_core.schedule import ScheduledTask
from taskiq_core.wire import pack, unpack


def entry_of(schedule: ScheduledTask) -> bytes:
    """What to store.

    :raises TypeError: for an argument or a label that cannot be sent as data.
    """
    return flag(schedule.paused) + pack(schedule.model_dump())


def flag(paused: bool) -> bytes:
    """The digit."""
    return b"1" if paused else b"0"


def schedule_of(entry: bytes) -> ScheduledTask:
    """What was stored.

    :raises ValueError: for an entry that another release wrote and this one cannot read.
    """
    fields = unpack(entry[1:])
    if not isinstance(fields, dict):
        msg = f"it is a {type(fields).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - as for other things that are not a schedule
    return ScheduledTask.model_validate({**fields, "paused": entry[:1] == b"1"})
