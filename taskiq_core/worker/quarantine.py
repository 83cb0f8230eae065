"""Tasks that run in a process of their own: those that ask for one, and those suspected of having killed a worker."""

import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from taskiq_core.acks import AcknowledgeType, parse_acknowledge_type
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import WorkerDiedError
from taskiq_core.labels import ACK_TYPE, NO_PROCESS, TIMEOUT
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.sandbox import NoSandboxError, SandboxDiedError, SandboxPool
from taskiq_core.worker.sandbox_request import TaskPlace, load_outcome
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

_CROWD_DEATHS = 2
"""Deaths among others after which a task is suspected even if the flight recorder did not accuse it."""
_TRIES = 5
"""Times that a message finds no process before its task is failed."""
_PAUSE = 5.0
"""Seconds between two such times."""


class Quarantine:
    """Only a death alone counts against a task; a task that kills whatever runs it starts `max_deaths + 1` times at most.

    A bystander is never failed: a suspect that no process can take, for whatever reason, runs among the others.
    A task that waits for a free process keeps its slot.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        settings: WorkerSettings,
        execution: Execution,
        ack_now: Callable[[Delivery], Awaitable[None]],
    ) -> None:
        self._broker = broker
        self._execution = execution
        self._ack_now = ack_now
        self._ack_type = settings.ack_type
        self._max_deaths = settings.max_deaths
        self._wanted = SandboxPool(settings.processes, settings.ack_type)
        self._suspects = SandboxPool(min(settings.concurrency, 8), settings.ack_type)
        self._places: dict[str, tuple[AnyTask, TaskPlace | None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._wanted.__aexit__(kind, error, traceback)
        await self._suspects.__aexit__(kind, error, traceback)

    def wants(self, delivery: Delivery, message: TaskiqMessage) -> bool:
        """Whether this delivery is for `run`."""
        task = self._broker.find_task(message.task_name)
        if task is None:
            return False
        return task.options.executor == "process" or delivery.accused or delivery.deaths >= _CROWD_DEATHS

    async def run(self, delivery: Delivery, message: TaskiqMessage) -> Outcome | None:
        """Run it alone, again after each death, up to the limit; None if it is to run among the others after all.

        Cancelling kills the process.
        """
        task = self._broker.find_task(message.task_name)
        assert task is not None
        named = ACK_TYPE.get(message.labels) or task.options.ack_type or self._ack_type
        acks_first = parse_acknowledge_type(named) is AcknowledgeType.WHEN_RECEIVED
        if task.options.executor == "process":
            return await self._run_wanted(delivery, message, task, acks_first)
        # What is acknowledged before it runs dies with its first victim: no need to look at it twice.
        return None if acks_first else await self._try_suspect(delivery, message, task)

    async def _run_wanted(self, delivery: Delivery, message: TaskiqMessage, task: AnyTask, acks_first: bool) -> Outcome:
        if acks_first:
            await self._ack_now(delivery)
        try:
            most = 1 if acks_first else self._max_deaths
            outcome = await self._run_alone(self._wanted, delivery, message, task, most)
        except NoSandboxError as error:
            outcome = await self._come_back(delivery, message, error, may=not acks_first)
        outcome.acked = acks_first
        return outcome

    async def _try_suspect(self, delivery: Delivery, message: TaskiqMessage, task: AnyTask) -> Outcome | None:
        try:
            most = max(1, self._max_deaths + 1 - max(1, delivery.deaths))
            return await self._run_alone(self._suspects, delivery, message, task, most)
        except NoSandboxError as error:
            if delivery.accused and delivery.deaths > self._max_deaths:
                return _condemned(delivery, message, delivery.deaths, str(error), alone=False)
            logger.warning("Task %s (%s) may have killed a worker, but runs among others again. %s",
                           message.task_name, message.task_id, error)  # fmt: skip
            return None

    async def _run_alone(
        self, pool: SandboxPool, delivery: Delivery, message: TaskiqMessage, task: AnyTask, most: int
    ) -> Outcome:
        place = self._place_of(task)
        if place is None:
            raise NoSandboxError(reason="another process cannot import its function")
        if pool is self._suspects:
            logger.warning("Task %s (%s) may have killed a worker: it runs alone now.", message.task_name, message.task_id)
        request = place.request(delivery.body)
        timeout = TIMEOUT.get(message.labels) or task.options.timeout
        started = time.perf_counter()
        how = ""
        for death in range(1, most + 1):
            try:
                return load_outcome(await pool.ask(request, timeout), delivery, message)
            except SandboxDiedError as died:
                logger.error("A process died running task %s (%s) alone, %d of %d: %s.",
                             message.task_name, message.task_id, death, most, died.how)  # fmt: skip
                how = died.how
            except NoSandboxError as error:
                if death == 1:
                    raise
                return await self._come_back(delivery, message, error)
            except TimeoutError:
                late = TimeoutError(f"Task {message.task_name!r} ran longer than its timeout of {timeout:g} s and was killed.")
                return await self._execution.failed(delivery, message, late, time.perf_counter() - started)
        return _condemned(delivery, message, most, how)

    def _place_of(self, task: AnyTask) -> TaskPlace | None:
        known, place = self._places.get(task.task_name, (None, None))
        if known is not task:
            place = TaskPlace.of(self._broker, task)
            self._places[task.task_name] = task, place
        return place

    async def _come_back(
        self, delivery: Delivery, message: TaskiqMessage, error: NoSandboxError, *, may: bool = True
    ) -> Outcome:
        tries = (NO_PROCESS.get(message.labels) or 0) + 1
        if not may or tries >= _TRIES:
            return await self._execution.failed(delivery, message, error)
        logger.warning("Task %s (%s) comes back in %g s, %d of %d. %s",
                       message.task_name, message.task_id, _PAUSE, tries, _TRIES, error)  # fmt: skip
        NO_PROCESS.set(message.labels, tries)
        body = self._broker.formatter.dumps(message).message
        return Outcome(delivery, Ending.NO_PROCESS, message, delay=_PAUSE, reason=str(error), body=body)


def _condemned(delivery: Delivery, message: TaskiqMessage, deaths: int, how: str, *, alone: bool = True) -> Outcome:
    where = "alone" if alone else "among others"
    error = WorkerDiedError(task_name=message.task_name, deaths=deaths, where=where, how=how)
    result = TaskiqResult[Any](is_err=True, return_value=None, error=error, labels=message.labels)
    return Outcome(delivery, Ending.CONDEMNED, message, result, reason=str(error))
