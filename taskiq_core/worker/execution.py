"""From one delivery to one outcome."""

import functools
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio

from taskiq_core import clock
from taskiq_core.acks import AcknowledgeType, parse_acknowledge_type
from taskiq_core.broker import AnyTask, AsyncBroker
from taskiq_core.context import Context
from taskiq_core.delivery import Delivery
from taskiq_core.exceptions import (
    MessageDecodeError,
    NoResultError,
    TaskCancelledError,
    TaskRejectedError,
    TaskRequeuedError,
    UnknownTaskError,
)
from taskiq_core.labels import ACK_TYPE, EXPIRES_AT, LAST_ERROR, REQUEUES, RESULT_TTL, RETRIES, STORE_RESULT, UNKNOWN, WAITING
from taskiq_core.message import TaskiqMessage
from taskiq_core.result import TaskiqResult
from taskiq_core.worker.batch_invocation import compile_invocation
from taskiq_core.worker.invocation import AskForTime, Invocation
from taskiq_core.worker.outcome import Outcome, error_result
from taskiq_core.worker.retrying import grant_retry
from taskiq_core.worker.settings import WorkerSettings
from taskiq_core.worker.slot import Slot
from taskiq_core.worker.stopping import forget_own_cancellation, is_stopped
from taskiq_core.worker.threads import Threads
from taskiq_core.worker.tracebacks import describe, log_info
from taskiq_core.worker.verdicts import Ending

logger = logging.getLogger("taskiq.worker")

AckNow = Callable[[Delivery], Awaitable[None]]

_MAX_NOTE = 500
"""Characters of the last error that travel with a retry."""
_LAST_HOOKS = 5.0
"""Seconds that the hooks of a cancelled task get, also while the worker stops."""
_UNKNOWN_PAUSE = 5.0
"""Seconds until a message whose task nobody here knows is offered again."""


class Execution:
    """Loads, finds, hooks, calls, and says how it ended.

    `ask_for_time` reaches whoever limits the time of runs; None: that is done here.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        settings: WorkerSettings,
        threads: Threads,
        ack_now: AckNow,
        ask_for_time: AskForTime | None = None,
    ) -> None:
        self._broker = broker
        self._settings = settings
        self._threads = threads
        self._ack_now = ack_now
        self._ask_for_time = ask_for_time
        self._loads = broker.formatter.loads
        self._find = broker.find_task
        self._chain = broker.chain
        self._compiled: dict[str, Invocation] = {}

    def load(self, delivery: Delivery) -> TaskiqMessage | Outcome:
        """The message, or the outcome of a body that is none."""
        try:
            return self._loads(delivery.body)
        except Exception as error:  # noqa: BLE001 - a formatter of somebody's own may raise anything
            reason = str(error) if isinstance(error, MessageDecodeError) else describe(error)
            logger.error("A message on queue %s is dead-lettered. %s", delivery.queue, reason)
            return Outcome(delivery, Ending.UNDECODABLE, reason=reason)

    def knows(self, task_name: str) -> bool:
        """Whether there is such a task here."""
        return self._find(task_name) is not None

    def compile(self, task: AnyTask) -> Invocation:
        """The task made ready to run; compiled once.

        :raises ConfigurationError: if it cannot be.
        """
        known = self._compiled.get(task.task_name)
        if known is None or known.task is not task:
            known = compile_invocation(task, self._broker, self._threads, self._ask_for_time)
            self._compiled[task.task_name] = known
        return known

    async def run(self, delivery: Delivery, message: TaskiqMessage, slot: Slot) -> Outcome:
        """Run the task of one message. Never raises but when cancelled by the stopping worker."""
        task = self._find(message.task_name)
        if task is None:
            return self.unknown(delivery, message)
        outcome = Outcome(
            delivery, Ending.RETURNED, message, store=task.options.store_result, result_ttl=task.options.result_ttl
        )
        started = time.perf_counter()
        try:
            value = await self._call(outcome, task, slot)
        except BaseException as error:
            if (why := slot.close()) is not None:
                return await self.cancelled(outcome, why, time.perf_counter() - started)
            if is_stopped():
                if isinstance(error, anyio.get_cancelled_exc_class()):
                    raise
                # The stop came as a cancellation and the task made something else of it: it is not the task's failure.
                return Outcome(delivery, Ending.WORKER_STOPPING, message)
            if isinstance(error, anyio.get_cancelled_exc_class()):
                forget_own_cancellation()
            self._raised(outcome, task, error)
            outcome.result = error_result(error, outcome.message or message, time.perf_counter() - started)
        else:
            if (why := slot.close()) is not None:
                return await self.cancelled(outcome, why, time.perf_counter() - started)
            message = outcome.message or message
            outcome.result = TaskiqResult(
                is_err=False, return_value=value, execution_time=time.perf_counter() - started, labels=message.labels
            )
        try:
            await self._after(outcome)
        except anyio.get_cancelled_exc_class():
            if not (outcome.acked and is_stopped()):
                raise
            # The broker has let go of the message: its outcome must not be lost with the hooks.
        return outcome

    def unknown(self, delivery: Delivery, message: TaskiqMessage) -> Outcome:
        """Pass it on, for a worker that knows it, as after a rolling deploy; but not for ever."""
        seen = (UNKNOWN.get(message.labels) or 0) + 1
        error = UnknownTaskError(task_name=message.task_name)
        if seen < self._settings.max_deliveries:
            logger.warning("%s It is given back for others to try (%d of %d).", error, seen, self._settings.max_deliveries)
            UNKNOWN.set(message.labels, seen)
            body = self._broker.formatter.dumps(message).message
            return Outcome(delivery, Ending.UNKNOWN_TASK, message, delay=_UNKNOWN_PAUSE, body=body)
        logger.error("%s That was the %dth try: dead-lettered.", error, seen)
        result = TaskiqResult[Any](is_err=True, return_value=None, error=error, labels=message.labels)
        return Outcome(delivery, Ending.UNKNOWN_EVERYWHERE, message, result, reason=str(error))

    async def _call(self, outcome: Outcome, task: AnyTask, slot: Slot) -> Any:
        message = outcome.message
        assert message is not None
        invocation = self.compile(task)
        labels = message.labels
        ack_type = task.options.ack_type or self._settings.ack_type
        if labels:
            if (expires := EXPIRES_AT.get(labels)) is not None and clock.time() > expires:
                outcome.ending = Ending.EXPIRED
                raise TaskCancelledError(reason="it expired before a worker could start it")
            if (wanted := ACK_TYPE.get(labels)) is not None:
                ack_type = parse_acknowledge_type(wanted)
            if (store := STORE_RESULT.get(labels)) is not None:
                outcome.store = store
            outcome.result_ttl = RESULT_TTL.get(labels) or outcome.result_ttl
        if self._chain.pre_execute is not None:
            outcome.ending = Ending.HOOK_RAISED
            message = outcome.message = await self._chain.pre_execute(message)
            outcome.ending = Ending.RETURNED
        around = self._chain.around_execute
        if invocation.plain and around is None and ack_type is AcknowledgeType.WHEN_SAVED:
            return await invocation.start(message)
        context = slot.task_context = Context(message, self._broker, functools.partial(self._ack, outcome))
        if ack_type is AcknowledgeType.WHEN_SAVED:
            return await invocation.call(message, context, slot, around)
        outcome.manual = ack_type is AcknowledgeType.MANUAL and task.options.batch is None  # which has no Context to do it
        if ack_type is AcknowledgeType.WHEN_RECEIVED:
            await self._ack(outcome)
        try:
            return await invocation.call(message, context, slot, around)
        finally:
            if ack_type is AcknowledgeType.WHEN_EXECUTED and not is_stopped():
                await self._ack(outcome)

    async def _ack(self, outcome: Outcome) -> None:
        if outcome.acked:
            return
        outcome.acked = True  # before the await: a second call meanwhile must not acknowledge twice
        try:
            await self._ack_now(outcome.delivery)
        except BaseException:
            outcome.acked = False
            raise

    def _raised(self, outcome: Outcome, task: AnyTask, error: BaseException) -> None:
        message = outcome.message
        assert message is not None
        outcome.reason = describe(error)
        if isinstance(error, TaskRequeuedError):
            outcome.ending, outcome.delay = Ending.REQUEUED, error.delay
            count = str((REQUEUES.get(message.labels) or 0) + 1)  # text, as in Taskiq
            outcome.body = self._again(outcome.delivery, {**message.labels, REQUEUES.name: count})
        elif isinstance(error, NoResultError):
            outcome.ending = Ending.NO_RESULT
        elif isinstance(error, TaskRejectedError):
            outcome.ending = Ending.REJECTED
        elif isinstance(error, anyio.get_cancelled_exc_class()):
            outcome.ending = Ending.CANCELLED
        elif outcome.ending is Ending.RETURNED:
            self._failed(outcome, task, error)
        elif outcome.ending is Ending.HOOK_RAISED:
            logger.error("A hook ended task %s (%s) before it ran: %s",
                         message.task_name, message.task_id, outcome.reason, exc_info=log_info(error))  # fmt: skip

    def _failed(self, outcome: Outcome, task: AnyTask, error: BaseException) -> None:
        message = outcome.message
        assert message is not None
        retries = RETRIES.get(message.labels) or 0
        delay = grant_retry(task, self._broker, message, error, retries)
        if delay is not None:
            outcome.ending, outcome.delay = Ending.RETRIED, delay
            note = (outcome.reason or "")[:_MAX_NOTE]
            outcome.body = self._again(outcome.delivery, {RETRIES.name: retries + 1, LAST_ERROR.name: note})
            logger.warning(
                "Task %s (%s) failed and is retried in %.3g s (retry %d): %s",
                message.task_name, message.task_id, delay, retries + 1, outcome.reason,
            )  # fmt: skip
            return
        outcome.ending = Ending.FAILED_KEEP_COPY if task.options.dead_letter else Ending.FAILED
        how = f"failed in run {retries + 1}" if retries else "failed"
        name, task_id = message.task_name, message.task_id
        logger.error("Task %s (%s) %s: %s", name, task_id, how, outcome.reason, exc_info=log_info(error))

    def _again(self, delivery: Delivery, labels: dict[str, Any]) -> bytes:
        # Made of what came, not of what hooks and the task have made of it: they will see it again.
        message = self._loads(delivery.body)
        for label in WAITING:
            message.labels.pop(label, None)
        message.labels.update(labels)
        return self._broker.formatter.dumps(message).message

    async def failed(self, delivery: Delivery, message: TaskiqMessage, error: BaseException, seconds: float = 0.0) -> Outcome:
        """The outcome of a message whose task failed outside of `run`, with retries and hooks as usual."""
        outcome = Outcome(delivery, Ending.RETURNED, message)
        task = self._find(message.task_name)
        if task is not None:
            outcome.store, outcome.result_ttl = task.options.store_result, task.options.result_ttl
        try:
            if task is not None:
                self._raised(outcome, task, error)
        except Exception:
            # A label that cannot be read, a retry policy that raises: a worker that died of it would die again and again.
            logger.exception("Whether task %s (%s) is to be retried is not known", message.task_name, message.task_id)
            outcome.ending = Ending.RETURNED
        if outcome.ending is Ending.RETURNED:
            outcome.ending, outcome.reason = Ending.FAILED, describe(error)
        outcome.result = error_result(error, message, seconds)
        await self._after(outcome)
        return outcome

    async def refused(self, delivery: Delivery, message: TaskiqMessage, reason: str) -> Outcome:
        """The outcome of a message that was cancelled before its task was called, with hooks as usual."""
        outcome = Outcome(delivery, Ending.CANCELLED, message)
        task = self._find(message.task_name)
        if task is not None:
            outcome.store, outcome.result_ttl = task.options.store_result, task.options.result_ttl
        with suppress(ValueError, TypeError):  # of labels that cannot be read
            outcome.result_ttl = RESULT_TTL.get(message.labels) or outcome.result_ttl
            outcome.store = outcome.store if (store := STORE_RESULT.get(message.labels)) is None else store
        return await self.cancelled(outcome, reason)

    async def cancelled(self, outcome: Outcome, reason: str, seconds: float = 0.0) -> Outcome:
        """The outcome, turned into that of a task that was cancelled, whatever it was. Hooks get a few seconds."""
        message, error = outcome.message, TaskCancelledError(reason=reason)
        assert message is not None
        logger.info("Task %s (%s) is cancelled: %s", message.task_name, message.task_id, reason)
        outcome.ending, outcome.reason, outcome.manual = Ending.CANCELLED, describe(error), False
        outcome.result = TaskiqResult(
            is_err=True, return_value=None, error=error, execution_time=seconds, labels=message.labels
        )
        with anyio.move_on_after(_LAST_HOOKS, shield=True):
            await self._after(outcome)
        return outcome

    async def _after(self, outcome: Outcome) -> None:
        chain, message, result = self._chain, outcome.message, outcome.result
        if message is None or result is None:
            return
        if chain.on_error is not None and result.error is not None and outcome.ending is not Ending.REQUEUED:
            await chain.on_error(message, result, result.error)
            if isinstance(result.error, NoResultError):
                outcome.store = False
        if chain.post_execute is not None:
            await chain.post_execute(message, result)
