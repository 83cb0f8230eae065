"""The limits of one task, compiled: from a message to what the shared state is asked."""

from dataclasses import dataclass

from taskiq_core.abc.coordinator import RateLimit, SlotLimit
from taskiq_core.broker import AnyTask
from taskiq_core.key_template import KeyTemplate
from taskiq_core.limits import Concurrency, Limit, places, setting_key
from taskiq_core.message import TaskiqMessage


@dataclass(frozen=True, slots=True)
class _Compiled:
    limit: Limit
    key: KeyTemplate
    place: str
    setting: str
    always: SlotLimit | RateLimit | None
    """What every message needs, where the limit has no key."""

    def of(self, message: TaskiqMessage) -> SlotLimit | RateLimit:
        """What this message needs."""
        if self.always is not None:
            return self.always
        return _needed(self.place + self.key(message.args, message.kwargs), self.limit, self.setting)


class TaskLimits:
    """For tasks that have limits.

    :raises ConfigurationError: for keys that name what is no argument.
    """

    def __init__(self, task: AnyTask) -> None:
        self._compiled = [_compile(task, limit) for limit in task.options.limits]

    def of(self, message: TaskiqMessage) -> tuple[list[SlotLimit], list[RateLimit]]:
        """What this message needs to start.

        :raises Exception: if it has no keys: its arguments do not fit, or lack what a key names.
        """
        slots: list[SlotLimit] = []
        rates: list[RateLimit] = []
        for item in self._compiled:
            needed = item.of(message)
            if isinstance(needed, SlotLimit):
                slots.append(needed)
            else:
                rates.append(needed)
        return slots, rates


def _compile(task: AnyTask, limit: Limit) -> _Compiled:
    name = task.task_name
    key = KeyTemplate(limit.key, task.message_func, task_name=name, cast=task.options.cast_types)
    key.prepare()
    place, setting = places(limit, name), setting_key(limit, name)
    return _Compiled(limit, key, place, setting, _needed(place, limit, setting) if limit.key is None else None)


def _needed(place: str, limit: Limit, setting: str) -> SlotLimit | RateLimit:
    if isinstance(limit, Concurrency):
        return SlotLimit(place, limit.n, setting)
    return RateLimit(place, limit.starts, limit.window, limit.pace, setting)
