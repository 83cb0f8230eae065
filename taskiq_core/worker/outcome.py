"""What execution hands to the completion queue."""

from dataclasses import dataclass
from typing import Any

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import TaskCancelledError
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.tracebacks import traceback_of
from taskiq_core.worker.verdicts import Ending


@dataclass(slots=True, eq=False)
class Outcome:
    """How one delivery ended; see the verdict table for what follows from it."""

    delivery: Delivery
    ending: Ending
    message: TaskiqMessage | None = None
    result: TaskiqResult[Any] | None = None
    """Set where there is one, also where it is not to be stored."""
    store: bool = True
    """False where the task or a hook does not want its result stored."""
    result_ttl: float | None = None
    delay: float | None = None
    reason: str | None = None
    body: bytes | None = None
    manual: bool = False
    """True if the task acknowledges by itself: the framework never does."""
    acked: bool = False
    """True if the delivery was acknowledged already."""
    park: str | None = None
    """What it waits for; see `Settlement.park`."""


def error_result(error: BaseException, message: TaskiqMessage, seconds: float) -> TaskiqResult[Any]:
    """The result of a task that ended with `error` after so many seconds."""
    shown: BaseException = error
    if isinstance(error, anyio.get_cancelled_exc_class()):
        shown = TaskCancelledError(reason="it cancelled itself")
    return TaskiqResult(
        is_err=True,
        return_value=None,
        error=shown,
        execution_time=seconds,
        labels=message.labels,
        traceback=traceback_of(error),
    )
