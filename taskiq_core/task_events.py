"""What happens to tasks, as typed events for `broker.on(...)`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

E_co = TypeVar("E_co", covariant=True)


class Heard(Protocol[E_co]):
    """What can be listened for: the class of an event, or `TaskFailed`, which stands for `TaskFailure`."""

    def heard_as(self) -> type[E_co]:
        """The class of the events."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """Every event; listen for this class to hear them all."""

    task_id: str
    task_name: str
    at: float
    """Seconds since the epoch."""
    queue: str | None
    """None where the broker has no queues, or the default one is meant."""
    labels: Mapping[str, Any]
    """Of the message; not to be changed."""

    @classmethod
    def heard_as(cls) -> type[Self]:
        """This class."""
        return cls


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSent(TaskEvent):
    """The broker has accepted a message; in the process that sent it."""

    delay: float | None
    """Seconds that it is to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEvent(TaskEvent):
    """Every event of a worker."""

    attempt: int
    """1 in the first run, one more with every retry."""
    worker: str
    """Host and process id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStarted(WorkerEvent):
    """A slot has taken the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnded(WorkerEvent):
    """Every end of a run. The broker knows of it and the result can be read, where there is one."""

    execution_time: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSucceeded(TaskEnded):
    """The task has returned."""

    return_value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure(TaskEnded):
    """The task has failed for good; `broker.on(TaskFailed)` means this too."""

    error: str
    """Type and text."""
    exception: BaseException | None
    traceback: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetrying(TaskEnded):
    """The task has failed and will run again."""

    error: str
    """Type and text."""
    exception: BaseException | None
    delay: float
    """Seconds until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequeued(TaskEnded):
    """The task has asked to run again, with `Context.requeue()`."""

    delay: float
    """Seconds until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(TaskEnded):
    """The task was cancelled, or came too late to start.

    Of a task that was cancelled while it waited the process that did it hears, as `worker` and with 0 as `attempt`; queue and
    labels are not known then.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRejected(TaskEnded):
    """The message has gone to the dead letters: `Context.reject()`, or no worker knows the task."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReleased(TaskEnded):
    """The message was given back and says nothing about its task: not known here, no process for it, result not stored."""

    reason: str
