"""What the worker has to tell listeners; without one this costs a look whether there is one."""

from collections.abc import Sequence
from typing import Any

from taskiq_core import clock
from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.ids import process_id
from taskiq_core.labels import RETRIES
from taskiq_core.message import TaskiqMessage
from taskiq_core.task_events import (
    TaskCancelled,
    TaskEnded,
    TaskFailure,
    TaskRejected,
    TaskReleased,
    TaskRequeued,
    TaskRetrying,
    TaskStarted,
    TaskSucceeded,
)
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.tracebacks import describe
from taskiq_core.worker.verdicts import Ending

_EVENT: dict[Ending, type[TaskEnded]] = {
    Ending.RETURNED: TaskSucceeded,
    Ending.NO_RESULT: TaskSucceeded,
    Ending.RETRIED: TaskRetrying,
    Ending.REQUEUED: TaskRequeued,
    Ending.FAILED: TaskFailure,
    Ending.FAILED_KEEP_COPY: TaskFailure,
    Ending.HOOK_RAISED: TaskFailure,
    Ending.CONDEMNED: TaskFailure,
    Ending.CANCELLED: TaskCancelled,
    Ending.EXPIRED: TaskCancelled,
    Ending.REJECTED: TaskRejected,
    Ending.UNKNOWN_EVERYWHERE: TaskRejected,
    Ending.UNKNOWN_TASK: TaskReleased,
    Ending.NO_PROCESS: TaskReleased,
    Ending.NOT_STORED: TaskReleased,
}


class Announcements:
    """Makes events of starts and of outcomes that are settled."""

    def __init__(self, broker: AsyncBroker) -> None:
        self._broker = broker
        self._worker = process_id()

    def started(self, delivery: Delivery, message: TaskiqMessage) -> None:
        """A task begins to run."""
        announcer = self._broker.announcer
        if announcer is not None and announcer.wants(TaskStarted):
            announcer.announce(TaskStarted(**self._common(delivery, message)))

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """The broker knows of these."""
        announcer = self._broker.announcer
        if announcer is None:
            return
        for outcome in outcomes:
            kind = _kind(outcome)
            if kind is not None and outcome.message is not None and announcer.wants(kind):
                seconds = 0.0 if outcome.result is None else outcome.result.execution_time
                common = self._common(outcome.delivery, outcome.message)
                announcer.announce(kind(**common, execution_time=seconds, **_facts(kind, outcome)))

    def _common(self, delivery: Delivery, message: TaskiqMessage) -> dict[str, Any]:
        return {
            "task_id": message.task_id,
            "task_name": message.task_name,
            "at": clock.time(),
            "queue": delivery.queue,
            "labels": dict(message.labels),
            "attempt": _attempt(message),
            "worker": self._worker,
        }


def _attempt(message: TaskiqMessage) -> int:
    try:
        return 1 + (RETRIES.get(message.labels) or 0)
    except ValueError:  # who runs it says so
        return 1


def _kind(outcome: Outcome) -> type[TaskEnded] | None:
    if outcome.ending is Ending.RETURNED and outcome.result is not None and outcome.result.is_err:
        return TaskFailure  # its value could not be stored
    return _EVENT.get(outcome.ending)


def _facts(kind: type[TaskEnded], outcome: Outcome) -> dict[str, Any]:
    result, reason = outcome.result, outcome.reason or outcome.ending.value
    if kind is TaskSucceeded:
        return {"return_value": None if result is None else result.return_value}
    if kind is TaskRequeued:
        return {"delay": outcome.delay or 0.0}
    if kind is TaskRetrying:
        return {"error": reason, "exception": None if result is None else result.error, "delay": outcome.delay or 0.0}
    if kind is TaskFailure:
        error = None if result is None else result.error
        text = outcome.reason or (describe(error) if error is not None else reason)
        return {"error": text, "exception": error, "traceback": None if result is None else result.traceback}
    return {"reason": reason}
