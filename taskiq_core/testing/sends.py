"""What was sent, to be asked for by task and arguments."""

import difflib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from taskiq_core import clock
from taskiq_core.broker import AsyncBroker
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.retry import seconds

_SHOWN = 5
"""Other sends that a failed assertion shows."""


@dataclass(frozen=True, slots=True)
class SentTask:
    """One message that the broker has accepted. Arguments are what a worker reads: dates may be texts, models are dicts."""

    task_id: str
    task_name: str
    arguments: Mapping[str, Any]
    """By parameter, where this process has the task; else positional ones by number."""
    labels: Mapping[str, Any]
    queue: str | None
    """None is the broker's default, as for `priority`."""
    priority: int | None
    delay: float | None
    """Seconds."""
    at: datetime
    """When it was sent, in UTC."""

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        where = f" in {self.queue!r}" if self.queue else ""
        later = f" after {self.delay:g} s" if self.delay else ""
        return f"{self.task_name.rpartition(':')[2]}({arguments}){where}{later}"


class Sends(list[SentTask]):
    """Sends that match, in their order. Where an `assert` fails, its text says what was wanted and what was sent instead."""

    def __init__(self, found: Sequence[SentTask], wanted: str, others: Sequence[SentTask]) -> None:
        super().__init__(found)
        self._wanted = wanted
        self._others = others

    def where(
        self,
        *,
        queue: str | None = None,
        priority: int | None = None,
        delay: float | timedelta | None = None,
        **labels: Any,
    ) -> "Sends":
        """Those of them with these settings and labels; None is any.

        :raises TypeError: for a label that no send of the test has, if its name looks like a misspelt setting.
        """
        self._refuse_misspelt(labels)
        wait = None if delay is None else seconds(delay)
        facts = {"queue": queue, "priority": priority, "delay": wait}
        wanted = {name: value for name, value in facts.items() if value is not None}
        found = [
            sent
            for sent in self
            if all(getattr(sent, name) == value for name, value in wanted.items())
            and all(sent.labels.get(name) == value for name, value in labels.items())
        ]
        settings = ", ".join(f"{name}={value!r}" for name, value in {**wanted, **labels}.items())
        others = [*(sent for sent in self if sent not in found), *self._others]
        return Sends(found, f"{self._wanted} with {settings}", others)

    def _refuse_misspelt(self, labels: Mapping[str, Any]) -> None:
        for name in labels:
            close = difflib.get_close_matches(name, ("queue", "priority", "delay"), n=1)
            if close and all(name not in sent.labels for sent in (*self, *self._others)):
                msg = f"No send has a label {name!r}; did you mean {close[0]!r}?"
                raise TypeError(msg)

    def __repr__(self) -> str:
        if self:
            return super().__repr__()
        shown = ", ".join(map(repr, self._others[-_SHOWN:])) or "nothing at all"
        return f"<no send of {self._wanted}; sent: {shown}>"


class SendLog:
    """All sends of one broker."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._sent: list[SentTask] = []
        self._messages: dict[str, BrokerMessage] = {}

    def add(self, message: BrokerMessage) -> None:
        """Note a message that the broker has accepted."""
        loaded = self._broker.formatter.loads(message.message)
        arguments = _by_name(self._broker, loaded.task_name, loaded.args, loaded.kwargs)
        settings = message.queue, message.priority, message.delay
        at = datetime.fromtimestamp(clock.time(), UTC)
        self._messages[message.task_id] = message
        self._sent.append(SentTask(message.task_id, loaded.task_name, arguments, loaded.labels, *settings, at))

    def find(self, task: "str | AsyncTaskiqDecoratedTask[..., Any]", args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sends:
        """Sends of a task of which these arguments, by position or name, are equal to those given.

        :raises LookupError: for a name that no task of the broker has, and under which nothing was sent.
        :raises TypeError: for arguments that the task does not take.
        """
        name = task if isinstance(task, str) else task.task_name
        known = self._broker.find_task(name)
        # What can never be is a mistake of the test.
        if known is None and all(sent.task_name != name for sent in self._sent):
            tasks = ", ".join(sorted(self._broker.get_all_tasks())) or "none"
            msg = f"{name!r} was not sent, and the broker has no such task; its tasks are: {tasks}"
            raise LookupError(msg)
        if known is not None:
            inspect.signature(known.original_func).bind_partial(*args, **kwargs)
        message = TaskiqMessage("wanted", name, {}, list(args), dict(kwargs))
        read = self._broker.formatter.loads(self._broker.formatter.dumps(message).message)
        arguments = _by_name(self._broker, name, read.args, read.kwargs)
        found = [
            sent
            for sent in self._sent
            if sent.task_name == name
            and all(key in sent.arguments and sent.arguments[key] == value for key, value in arguments.items())
        ]
        shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return Sends(found, f"{name.rpartition(':')[2]}({shown})", [sent for sent in self._sent if sent not in found])

    def all(self) -> Sends:
        """Every send."""
        return Sends(self._sent, "anything", ())

    def message(self, task_id: str) -> BrokerMessage:
        """What was sent last under that id.

        :raises LookupError: if nothing was.
        """
        if task_id not in self._messages:
            msg = f"Nothing was sent under the id {task_id!r}"
            raise LookupError(msg)
        return self._messages[task_id]


def _by_name(broker: AsyncBroker, task_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    task = broker.find_task(task_name)
    if task is not None:
        try:
            return dict(inspect.signature(task.original_func).bind_partial(*args, **kwargs).arguments)
        except TypeError:  # what was sent need not fit: the worker says so
            pass
    return {**{str(number): value for number, value in enumerate(args)}, **kwargs}
