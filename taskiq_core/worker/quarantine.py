"""Tasks that run in a process of their own: those that ask for one, and those suspected of having killed a worker."""

import logging
import time
from types import TracebackType
from typing import Any, Self

from taskiq_core.broker import AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import WorkerDiedError
from taskiq_core.labels import TIMEOUT
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.sandbox import SandboxDiedError, SandboxPool
from taskiq_core.worker.sandbox_request import SandboxRequest, load_outcome
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_CROWD_DEATHS = 2
"""Deaths among others after which a task is suspected even if the flight recorder did not accuse it."""


class Quarantine:
    """Only a death alone counts against a task; after `max_deaths` of them it is condemned. A bystander never is."""

    def __init__(self, broker: AsyncBroker, settings: WorkerSettings, execution: Execution) -> None:
        self._broker = broker
        self._execution = execution
        self._max_deaths = settings.max_deaths
        self._wanted = SandboxPool(settings.processes)
        self._suspects = SandboxPool(min(settings.concurrency, 8))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._wanted.__aexit__(kind, error, traceback)
        await self._suspects.__aexit__(kind, error, traceback)

    def wants(self, delivery: Delivery, message: TaskiqMessage) -> bool:
        """Whether this delivery must run in a process of its own."""
        task = self._broker.find_task(message.task_name)
        if task is None:
            return False
        if task.options.executor == "process":
            return True
        return (delivery.accused or delivery.deaths >= _CROWD_DEATHS) and SandboxRequest.of(self._broker, task, b"") is not None

    async def run(self, delivery: Delivery, message: TaskiqMessage) -> Outcome:
        """Run it alone, again after each death, up to the limit. Cancelling kills the process."""
        task = self._broker.find_task(message.task_name)
        assert task is not None
        suspected = task.options.executor != "process"
        if suspected:
            logger.warning("Task %s (%s) may have killed a worker: it runs alone now.", message.task_name, message.task_id)
        request = SandboxRequest.of(self._broker, task, delivery.body)
        assert request is not None
        timeout = TIMEOUT.get(message.labels) or task.options.timeout
        started = time.perf_counter()
        how = ""
        for death in range(1, self._max_deaths + 1):
            try:
                reply = await (self._suspects if suspected else self._wanted).ask(request.dump(), timeout)
            except SandboxDiedError as died:
                logger.error("A process died running task %s (%s) alone, %d of %d: %s.",
                             message.task_name, message.task_id, death, self._max_deaths, died.how)  # fmt: skip
                how = died.how
            except TimeoutError:
                error = TimeoutError(f"Task {message.task_name!r} ran longer than its timeout of {timeout:g} s and was killed.")
                return await self._execution.failed(delivery, message, error, time.perf_counter() - started)
            else:
                return load_outcome(reply, delivery, message)
        return _condemned(delivery, message, self._max_deaths, how)


def _condemned(delivery: Delivery, message: TaskiqMessage, deaths: int, how: str) -> Outcome:
    error = WorkerDiedError(task_name=message.task_name, deaths=deaths, how=how)
    result = TaskiqResult[Any](is_err=True, return_value=None, error=error, labels=message.labels)
    return Outcome(delivery, Ending.CONDEMNED, message, result, reason=str(error))
