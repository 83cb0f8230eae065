"""The limits of one task, compiled: from a message to what the shared state is asked."""

from dataclasses import dataclass

from taskiq_core.abc.coordinator import RateLimit, SlotLimit
from taskiq_core.broker import AnyTask
from taskiq_core.key_template import KeyTemplate
from taskiq_core.limits import Concurrency, Limit, Rate, places, setting_key
from taskiq_core.message import TaskiqMessage


@dataclass(frozen=True, slots=True)
class _Compiled:
    limit: Limit
    key: KeyTemplate
    place: str
    setting: str


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
            place, limit = item.place + item.key(message.args, message.kwargs), item.limit
            if isinstance(limit, Concurrency):
                slots.append(SlotLimit(place, limit.n, item.setting))
            else:
                rates.append(_rate(place, limit, item.setting))
        return slots, rates


def _compile(task: AnyTask, limit: Limit) -> _Compiled:
    name = task.task_name
    key = KeyTemplate(limit.key, task.message_func, task_name=name, cast=task.options.cast_types)
    key.prepare()
    return _Compiled(limit, key, places(limit, name), setting_key(limit, name))


def _rate(place: str, limit: Rate, setting: str) -> RateLimit:
    return RateLimit(place, limit.starts, limit.window, limit.pace, setting)
