"""What a running task can know and do about its own message."""

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, NoReturn, Protocol

from taskiq_core.abc.sender import Sender
from taskiq_core.cancel_signal import CancelSignal
from taskiq_core.exceptions import TaskRejectedError, TaskRequeuedError
from taskiq_core.labels import LAST_ERROR, RETRIES
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import seconds as as_seconds
from taskiq_core.state import TaskiqState

_lock = threading.Lock()


class ContextBroker(Sender, Protocol):
    """The part of a broker that contexts use."""

    @property
    def state(self) -> TaskiqState:
        """What start-up handlers left for tasks."""
        ...


class Context:
    """One per message, injected with `ctx: Context = TaskiqDepends()`.

    `ack` is what acknowledges the message, sync or async; None where that is not possible.
    """

    __slots__ = ("_ack", "_acked", "_cancelled", "_extend", "broker", "message")

    def __init__(
        self, message: TaskiqMessage, broker: ContextBroker, ack: Callable[[], Any | Awaitable[Any]] | None = None
    ) -> None:
        self.message = message
        self.broker = broker
        self._ack = ack
        self._acked = False
        self._cancelled: CancelSignal | None = None
        self._extend: Callable[[float], None] | None = None

    @property
    def task_id(self) -> str:
        """The id of the message; the same in every attempt."""
        return self.message.task_id

    @property
    def state(self) -> TaskiqState:
        """The broker's state."""
        return self.broker.state

    @property
    def attempt(self) -> int:
        """1 in the first run, one more with every retry; requeues do not count."""
        return 1 + (RETRIES.get(self.message.labels) or 0)

    @property
    def last_error(self) -> str | None:
        """Type and text of the error that caused this attempt; None in the first run."""
        return LAST_ERROR.get(self.message.labels)

    @property
    def cancelled(self) -> CancelSignal:
        """Whether somebody has cancelled this task, for those that cannot be stopped: threads.

        Never set in a task that runs in a process of its own, for that is killed.
        """
        with _lock:  # it may be asked for in a thread and by the worker at the same time
            if self._cancelled is None:
                self._cancelled = CancelSignal()
            return self._cancelled

    @property
    def is_ackable(self) -> bool:
        """Whether `ack()` can do anything."""
        return self._ack is not None

    @property
    def is_acked(self) -> bool:
        """Whether `ack()` has been called and has not failed."""
        return self._acked

    async def ack(self) -> None:
        """Acknowledge the message now; once it is, calling again does nothing.

        An error of the broker comes through and leaves the message unacknowledged.

        :raises RuntimeError: if the message cannot be acknowledged.
        """
        if self._ack is None:
            msg = "Current message is not ackable."
            raise RuntimeError(msg)
        if self._acked:
            return
        self._acked = True  # before the await: a second call meanwhile must not acknowledge twice
        try:
            answer = self._ack()
            if inspect.isawaitable(answer):
                await answer
        except BaseException:
            self._acked = False
            raise

    def extend(self, seconds: float | timedelta) -> None:
        """Have the time limit of this run end that long from now, if it would end earlier; it never comes nearer.

        Works in async tasks, threads and processes; a run without a time limit has none afterwards either. From a thread it
        returns when the event loop has taken note.

        :raises ValueError: for a negative time.
        """
        time = as_seconds(seconds)
        if self._extend is not None:
            self._extend(time)

    def limited(self, extend: Callable[[float], None] | None) -> None:
        """Called by the worker: the run has a time limit, moved by `extend`, from any thread; None: it has none any more."""
        self._extend = extend

    async def requeue(self, delay: float | timedelta = 0.0) -> NoReturn:
        """End this run and give the message back to its queue, to come again after `delay` seconds; burns no retry.

        Nothing is stored as a result. Works from a dependency too.

        :raises TaskRequeuedError: always; it must reach the worker.
        :raises ValueError: for a negative delay.
        """
        raise TaskRequeuedError(delay=as_seconds(delay))

    def reject(self, reason: str = "no reason given") -> NoReturn:
        """End this run with an error result and move the message to the dead letters; never retried.

        :raises TaskRejectedError: always; it must reach the worker.
        """
        raise TaskRejectedError(reason=reason)


def context_values(context: Context, extra: Mapping[Any, Any] | None = None) -> dict[Any, Any]:
    """What dependencies of one message find by type: the context, the state, the broker under all its classes, and `extra`."""
    values: dict[Any, Any] = dict.fromkeys(type(context.broker).__mro__[:-1], context.broker)
    values[Context] = context
    values[TaskiqState] = context.state
    values.update(extra or {})
    return values
