"""The handle on a task that has been sent."""

import math
from collections.abc import Generator
from datetime import timedelta
from typing import Any, Generic, Literal

import anyio
from pydantic import TypeAdapter
from typing_extensions import TypeVar

from taskiq_core import clock
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.sender import Cancelled, Sender
from taskiq_core.exceptions import (
    ConfigurationError,
    ResultBackendNotConfiguredError,
    ResultGetError,
    ResultIsReadyError,
    ResultUnreadableError,
    TaskiqResultTimeoutError,
)
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.signature import retype

R_co = TypeVar("R_co", covariant=True, default=Any)

Outcome = Literal["queued", "pending", "duplicate", "unknown"]
"""pending: written as part of a transaction of the caller's, by whose commit it is sent."""

_NAMELESS = "?"
_PATIENCE = 60.0
"""Seconds that a waiter without a timeout bears a backend that only raises."""


def as_timeout(timeout: float | timedelta | None) -> float | None:
    """Seconds, or None for "as long as it takes", which Taskiq spells as a negative number."""
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if timeout is not None and math.isnan(timeout):
        msg = "a timeout of nan seconds never ends and never begins"
        raise ValueError(msg)
    return None if timeout is None or timeout < 0 else timeout


class AsyncTaskiqTask(Generic[R_co]):
    """A handle: await it for the value, or ask it for more.

    `outcome` says what became of the send; `broker` is the one that it went through, which is needed to cancel. Every waiting
    method may be cancelled at no loss: the task itself goes on.
    """

    __slots__ = ("broker", "outcome", "result_backend", "return_adapter", "task_id", "task_name")

    def __init__(
        self,
        task_id: str,
        result_backend: AsyncResultBackend[Any],
        return_adapter: TypeAdapter[Any] | None = None,
        *,
        task_name: str = _NAMELESS,
        outcome: Outcome = "queued",
        broker: Sender | None = None,
    ) -> None:
        self.task_id = task_id
        self.task_name = task_name
        self.result_backend = result_backend
        self.return_adapter = return_adapter
        self.outcome: Outcome = outcome
        self.broker = broker

    def __repr__(self) -> str:
        return f"<task {self.task_name} {self.task_id}>"

    def __await__(self) -> Generator[Any, Any, R_co]:
        """The task's value.

        :raises BaseException: whatever the task raised.
        """
        return self._value().__await__()

    async def _value(self) -> R_co:
        result = await self.wait_result()
        return result.raise_for_error().return_value

    async def is_ready(self) -> bool:
        """Whether the result exists.

        :raises ResultIsReadyError: if the backend cannot tell.
        """
        self.require_results()
        try:
            return await self.result_backend.is_result_ready(self.task_id)
        except Exception as error:
            msg = f"Cannot check whether the result is ready: {error}"
            raise ResultIsReadyError(msg) from error

    async def get_result(self, with_logs: bool = False) -> TaskiqResult[R_co]:
        """The result, now.

        :raises ResultGetError: if it does not exist or the backend failed.
        """
        self.require_results()
        try:
            result = await self.result_backend.get_result(self.task_id, with_logs=with_logs)
        except ResultGetError:
            raise
        except Exception as error:
            raise ResultGetError from error
        return self.typed(result)

    async def wait_result(
        self,
        check_interval: float | None = None,
        timeout: float | timedelta | None = None,
        with_logs: bool = False,
    ) -> TaskiqResult[R_co]:
        """Wait for the result envelope, `timeout` seconds at most (None or negative: as long as it takes).

        A backend that fails for a moment does not end the wait.

        :raises TaskiqResultTimeoutError: when the time is over; the task goes on.
        :raises ResultBackendNotConfiguredError: if nobody stores results.
        :raises ResultGetError: if the backend raises for a minute on end and no timeout was given.
        """
        self.require_results()
        seconds = as_timeout(timeout)
        found = await wait_for_any(self.result_backend, [self.task_id], seconds)
        if self.task_id not in found:
            raise TaskiqResultTimeoutError(timeout=seconds)
        return self.typed(found[self.task_id])

    async def cancel(self, reason: str = "no reason given") -> Cancelled:
        """Cancel the task, wherever it is: see `broker.tasks.cancel`.

        :raises ConfigurationError: if the handle was made without a broker, or its broker has no coordinator.
        """
        if self.broker is None:
            raise ConfigurationError(
                reason=f"This handle of task {self.task_id} knows no broker, so it cannot cancel: "
                "use broker.handle(task_id).cancel() or broker.tasks.cancel(task_id)."
            )
        name = None if self.task_name == _NAMELESS else self.task_name
        return (await self.broker.tasks.cancel(self.task_id, reason=reason, task_name=name))[self.task_id]

    async def get_progress(self) -> TaskProgress[Any] | None:
        """What the task reported last, or None."""
        return await self.result_backend.get_progress(self.task_id)

    def typed(self, result: TaskiqResult[Any]) -> TaskiqResult[R_co]:
        """The result with its value turned into what the function's annotation says."""
        if self.return_adapter is not None and not result.is_err:
            result.return_value = retype(self.return_adapter, result.return_value)
        return result

    def require_results(self) -> None:
        """Refuse to wait for what will never come.

        :raises ResultBackendNotConfiguredError: if nobody stores results.
        """
        if not self.result_backend.keeps_results:
            raise ResultBackendNotConfiguredError(task_name=self.task_name)


async def wait_for_any(
    backend: AsyncResultBackend[Any], task_ids: list[str], timeout: float | None
) -> dict[str, TaskiqResult[Any]]:
    """`wait_results` that bears passing errors of the backend; empty when the time is over."""
    begun = clock.monotonic()
    failing_since: float | None = None
    pause = 0.05
    while True:
        now = clock.monotonic()
        left = None if timeout is None else max(0.0, begun + timeout - now)
        try:
            found = await backend.wait_results(task_ids, left)
        except ResultUnreadableError:
            raise
        except Exception as error:
            failing_since = failing_since or now
            if (left is None and now - failing_since > _PATIENCE) or (left is not None and left <= pause):
                raise ResultGetError from error
            await anyio.sleep(pause)
            pause = min(pause * 2, 1.0)
            continue
        if found or (timeout is not None and clock.monotonic() - begun >= timeout):
            return dict(found)
        failing_since, pause = None, 0.05
