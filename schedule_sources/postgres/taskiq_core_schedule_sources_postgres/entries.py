"""A schedule as a row: whether it is paused, and everything else, packed."""

from taskiq_core.schedule import ScheduledTask
from taskiq_core.wire import pack, unpack


def body_of(schedule: ScheduledTask) -> bytes:
    """What to store.

    :raises TypeError: for an argument or a label that cannot be sent as data.
    """
    return pack(schedule.model_dump())


def schedule_of(paused: bool, body: bytes) -> ScheduledTask:
    """What was stored.

    :raises ValueError: for a body that another release wrote and this one cannot read.
    """
    fields = unpack(body)
    if not isinstance(fields, dict):
        msg = f"it is a {type(fields).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - as for other things that are not a schedule
    return ScheduledTask.model_validate({**fields, "paused": paused})
