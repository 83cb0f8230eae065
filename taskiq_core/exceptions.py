"""Every error the framework raises, in one tree.

```
TaskiqError
├── SendTaskError                  the broker did not take the message: `outcome` says refused or unknown
│   └── MessageTooLargeError · MessageRefusedError · MessageHeldUpError · SharedBrokerSendTaskError
├── DuplicateTaskError             a unique task whose place is taken, with `on_conflict="raise"`
├── BrokerError (ServerError)      a broker could not be reached or used; `server_error` has what plugins raise
├── ResultBackendError
│   ├── ResultGetError (ResultUnreadableError) · ResultSetError (ResultStoreAwayError) · ResultIsReadyError
│   └── ResultBackendNotConfiguredError · TaskiqResultTimeoutError
├── ConfigurationError             found at start-up or registration, before any message moves
│   ├── TaskNameConflictError · TaskBrokerMismatchError · UnsupportedOptionError · UnknownSchemeError
├── MessageDecodeError · ArgumentError · UnknownTaskError · ResultNotSerializableError · WorkerDiedError
├── TaskCancelledError · ScheduledTaskCancelledError · SecurityError · SharedBrokerListenError
└── signals, raised by tasks: NoResultError · TaskRejectedError · TaskRequeuedError · TaskRetry · TaskFailed
```

A subclass states its text once, in `__template__`, and its fields as annotations: `__template__ = "Queue {queue} is full."`
and `queue: str`. Fields are keyword-only; one with a default may be left out. Unlike plain `args` they survive the wire.
"""

from typing import Any

from taskiq_core.error import TaskiqError as TaskiqError  # noqa: PLC0414 - the tree starts with it
from taskiq_core.task_events import TaskFailure


class BrokerError(TaskiqError):
    """A broker could not be reached or used."""

    __template__ = "Broker error: {reason}"
    reason: str


class SendTaskError(TaskiqError):
    """The broker did not confirm a message; the cause is chained.

    `outcome` is "refused" where the message certainly is not queued, else "unknown": sending again with the same task id
    is safe on every broker that declares `Capability.IDEMPOTENT_SEND`.
    """

    __template__ = "Task {task_name!r} could not be sent ({outcome}): {reason}"
    task_name: str = "?"
    reason: str = "the broker raised an error"
    outcome: str = "unknown"


class DuplicateTaskError(TaskiqError):
    """What is unique has its place taken, by the task of this id; nothing was sent."""

    __template__ = "Task {task_name!r} was not sent: {task_id} is in its place"
    task_name: str
    task_id: str


class MessageTooLargeError(SendTaskError):
    """Refused before it reached the broker."""

    __template__ = (
        "Task {task_name!r} was not sent: its message is {size} bytes and the limit is {limit}. "
        "Store the data elsewhere and send a reference, or raise `max_message_size` on the broker."
    )
    size: int
    limit: int
    outcome: str = "refused"


class MessageRefusedError(SendTaskError):
    """The broker is well but can never take this message; of a batch with such a message it has taken none."""

    outcome: str = "refused"


class MessageHeldUpError(SendTaskError):
    """It, or one of its batch, can be sent when a transaction of somebody's has ended; nothing of the batch was taken."""

    outcome: str = "refused"


class SharedBrokerSendTaskError(SendTaskError):
    """A shared task was sent before it was told which broker to use."""

    __template__ = (
        "Shared tasks have no broker of their own. Call `async_shared_broker.default_broker(broker)` "
        "or send with `task.kicker().with_broker(broker)`."
    )
    outcome: str = "refused"


class SharedBrokerListenError(TaskiqError):
    """Somebody tried to run a worker on the shared broker."""

    __template__ = "The shared broker cannot listen: run the worker on a real broker that imports the shared tasks."


class ResultBackendError(TaskiqError):
    """Base of everything that goes wrong with results."""

    __template__ = "Result backend error"


class ResultGetError(ResultBackendError):
    """A result could not be read; for a key that does not exist the backend may raise this too."""

    __template__ = "Cannot get the result: it does not exist, has expired, or the backend failed"


class ResultUnreadableError(ResultGetError):
    """A result is stored, but not in a form that this release reads; waiting longer does not help."""

    __template__ = "The stored result cannot be read: {reason}"
    reason: str


class ResultSetError(ResultBackendError):
    """A result could not be stored."""

    __template__ = "Cannot store the result"


class ResultStoreAwayError(ResultSetError, ConnectionError):
    """A result could not be stored as its store cannot be reached just now; that says nothing of the result."""


class ResultIsReadyError(ResultBackendError):
    """The backend could not say whether a result exists."""

    __template__ = "Cannot check whether the result is ready"


class TaskiqResultTimeoutError(ResultBackendError):
    """No result within the time given. The task itself goes on."""

    __template__ = "No result after {timeout} seconds"
    timeout: float | None = None


class ResultBackendNotConfiguredError(ResultBackendError):
    """Somebody waits for a result that nobody stores."""

    __template__ = (
        "The broker has no result backend, so no result of task {task_name!r} will ever arrive. "
        "Set one with `broker.with_result_backend(...)`."
    )
    task_name: str = "?"


class ConfigurationError(TaskiqError):
    """Found at registration or start-up; nothing has been sent or run."""

    __template__ = "{reason}"
    reason: str


class TaskNameConflictError(ConfigurationError):
    """Two functions registered under one name on one broker."""

    __template__ = (
        "A task named {task_name!r} is already registered on this broker ({existing}). "
        "Give one of the two an explicit name: @broker.task('another_name')."
    )
    task_name: str
    existing: str
    reason: str = ""


class TaskBrokerMismatchError(ConfigurationError):
    """A task of one broker was registered on another."""

    __template__ = "The task already belongs to another broker: {broker}"
    broker: Any
    reason: str = ""


class UnsupportedOptionError(ConfigurationError):
    """An option was used that neither the broker nor the core can serve."""

    __template__ = "{subject} asks for {option}, but {provider} does not declare {capability}. {remedy}"
    subject: str
    option: str
    provider: str
    capability: str
    remedy: str
    reason: str = ""


class UnknownSchemeError(ConfigurationError):
    """A URL names a plugin that is not installed."""


class MessageDecodeError(TaskiqError):
    """A body that is not a message of ours; it goes to the dead letters with this text as reason."""

    __template__ = "The message cannot be decoded: {reason}"
    reason: str


class ArgumentError(TaskiqError):
    """The arguments of a message do not fit the task's function; the function was not called."""

    __template__ = "Task {task_name!r} got wrong arguments: {reason}"
    task_name: str
    reason: str


class UnknownTaskError(TaskiqError):
    """This worker knows no task of that name."""

    __template__ = "Task {task_name!r} is not registered. Is the module that defines it imported by the worker?"
    task_name: str


class ResultNotSerializableError(ResultBackendError):
    """A task returned something that the serializer refuses; the task did run."""

    __template__ = "Task {task_name!r} returned a value that cannot be stored: {reason}"
    task_name: str
    reason: str


class WorkerDiedError(TaskiqError):
    """The process died each time it ran this task, also with the task alone in it, where a process could be got for it."""

    __template__ = "The worker process died {deaths} times while it ran task {task_name!r} {where}: {how}"
    task_name: str
    deaths: int
    where: str = "alone"
    how: str = "no exit status known"


class TaskCancelledError(TaskiqError):
    """Somebody cancelled the task, or it cancelled itself."""

    __template__ = "The task was cancelled: {reason}"
    reason: str = "no reason given"


class ScheduledTaskCancelledError(TaskiqError):
    """Raise it in `ScheduleSource.pre_send` to skip one fire quietly."""

    __template__ = "The scheduled task was cancelled"


class SecurityError(TaskiqError):
    """Stored data tried to make us do something that data must not do."""

    __template__ = "{description}"
    description: str


class NoResultError(TaskiqError):
    """Raise it in a task to end it with no result stored; never retried."""

    __template__ = "The task set no result"


class TaskRequeuedError(NoResultError):
    """What `Context.requeue()` raises: the message goes back to its queue and burns no retry."""

    __template__ = "The task was requeued"
    delay: float = 0.0


class TaskRejectedError(TaskiqError):
    """What `Context.reject()` raises: error result, dead letter."""

    __template__ = "The task was rejected: {reason}"
    reason: str = "no reason given"


class TaskRetry(TaskiqError):  # noqa: N818 - a signal, spelt as users of other frameworks know it
    """Raise it in a task to run it again after `delay` seconds (None: the task's own `Retry` policy decides).

    Counts as a retry: when none is left, the task fails with this error.
    """

    __template__ = "Retry asked for by the task: {reason}"
    reason: str = "no reason given"
    delay: float | None = None

    def __init__(self, reason: str | None = None, *, delay: float | None = None) -> None:
        super().__init__(**({} if reason is None else {"reason": reason}), delay=delay)


class TaskFailed(TaskiqError):  # noqa: N818
    """Raise it in a task to fail at once; retried only with `retry=True`."""

    __template__ = "{reason}"
    reason: str = "The task failed"
    retry: bool = False

    @classmethod
    def heard_as(cls) -> type[TaskFailure]:
        """`broker.on(TaskFailed)` means the event."""
        return TaskFailure

    def __init__(self, reason: str = "The task failed", *, retry: bool = False) -> None:
        super().__init__(reason=reason, retry=retry)
