"""Building one message and sending it."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, ParamSpec, Self

from pydantic import TypeAdapter
from typing_extensions import TypeVar

from taskiq_core import clock
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.abc.sender import Sender
from taskiq_core.capability import Capability
from taskiq_core.created_schedule import CreatedSchedule, create_schedule
from taskiq_core.deduplication import Guard, refuse_within
from taskiq_core.idempotency import Idempotent, idempotent_id
from taskiq_core.ids import check_task_id
from taskiq_core.labels import (
    DELAY,
    EXPIRES_AT,
    ON_FAILURE,
    ON_SUCCESS,
    PRIORITY,
    QUEUE,
    SCHEDULE_ID,
    TIMEOUT,
    Label,
    check_queue,
    parse_priority,
)
from taskiq_core.message import TaskiqMessage
from taskiq_core.options import callback_name
from taskiq_core.registry import Named
from taskiq_core.requirements import require_capability, require_places
from taskiq_core.retry import seconds
from taskiq_core.schedule import CronSpec
from taskiq_core.sync_bridge import run_from_sync
from taskiq_core.task import AsyncTaskiqTask, Outcome
from taskiq_core.transactions import transaction_of

logger = logging.getLogger("taskiq.sending")

P = ParamSpec("P")
R = TypeVar("R", default=Any)


@dataclass(frozen=True, slots=True)
class Call:
    """The arguments of one call, for `kiq_many`."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def call(*args: Any, **kwargs: Any) -> Call:
    """Arguments to send later: `await task.kiq_many([call(1), call(2, flag=True)])`."""
    return Call(args, kwargs)


class AsyncKicker(Generic[P, R]):
    """One send with its own settings; every `with_*` changes this kicker and returns it.

    :raises UnsupportedOptionError: from `with_queue`, `with_priority`, `with_delay` and `with_eta`, where the broker cannot
        serve them.
    """

    __slots__ = ("_own_labels", "broker", "custom_task_id", "expires", "guard", "labels", "return_adapter", "task_name")

    def __init__(
        self,
        task_name: str,
        broker: Sender,
        labels: dict[str, Any] | None = None,
        return_adapter: TypeAdapter[Any] | None = None,
        *,
        expires: float | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.task_name = task_name
        self.broker = broker
        self._own_labels: dict[str, Any] = labels or {}
        self.labels = dict(self._own_labels) if broker.routes is None else self._routed(broker)
        self.return_adapter = return_adapter
        self.expires = expires
        self.guard = guard
        self.custom_task_id: str | None = None

    # -- settings -----------------------------------------------------------------------------------------------------------

    def with_labels(self, **labels: Any) -> Self:
        """Add or replace labels."""
        self.labels.update(labels)
        return self

    def with_task_id(self, task_id: str) -> Self:
        """Use this id; sending an id that is still queued makes no second task on brokers with IDEMPOTENT_SEND.

        :raises ValueError: if it is not a text of 1 to 255 characters.
        """
        self.custom_task_id = check_task_id(task_id)
        return self

    def with_idempotency_key(self, key: str, ttl: float | timedelta = 86_400.0) -> Self:
        """Make one task of all sends with this key, whatever becomes of the first: for `ttl` seconds after that.

        The id is made of the task's name and the key. A repeat sends nothing and its outcome is "duplicate", unless nobody
        knows what became of the first send: then it is sent again under the same id.

        :raises ValueError: beside `with_task_id`, for a ttl of 0, or for a key that is no text, or an empty one.
        """
        if self.custom_task_id is not None or not seconds(ttl):
            msg = "an idempotency key makes the task id, and its ttl is more than 0: drop with_task_id() or mend the ttl"
            raise ValueError(msg)
        self.custom_task_id = idempotent_id(self.task_name, key)
        self.guard = Idempotent(self.custom_task_id, seconds(ttl), self.guard)
        return self

    def with_schedule_id(self, schedule_id: str) -> Self:
        """Say which schedule this send belongs to."""
        SCHEDULE_ID.set(self.labels, schedule_id)
        return self

    def with_broker(self, broker: Sender) -> Self:
        """Send through another broker, by its routes.

        :raises UnsupportedOptionError: if it cannot serve what this send asks for.
        """
        if broker is self.broker:
            return self
        before, after = self._routed(self.broker), self._routed(broker)
        chosen = {name: value for name, value in self.labels.items() if name not in before or before[name] != value}
        labels = {**after, **chosen}
        subject, places = f"A send of task {self.task_name!r}", (QUEUE.get(labels), PRIORITY.get(labels), DELAY.get(labels))
        require_places(broker, subject, queue=places[0], priority=places[1], delay=places[2])
        if self.guard is not None:
            self.guard.check(broker)
        self.labels, self.broker = labels, broker
        return self

    def with_queue(self, queue: str) -> Self:
        """Into this queue."""
        self._require(Capability.QUEUES, f"queue={queue!r}")
        QUEUE.set(self.labels, check_queue(queue))
        return self

    def with_priority(self, priority: int) -> Self:
        """0 to 9, higher first.

        :raises ValueError: outside 0 to 9.
        """
        self._require(Capability.PRIORITY, f"priority={priority}")
        PRIORITY.set(self.labels, parse_priority(priority))
        return self

    def with_delay(self, delay: float | timedelta) -> Self:
        """Not before `delay` (seconds or a timedelta) has passed.

        :raises ValueError: if negative.
        """
        self._require(Capability.DELAY, f"delay={delay}")
        DELAY.set(self.labels, seconds(delay))
        return self

    def with_eta(self, eta: datetime) -> Self:
        """Not before `eta`; a naive datetime is UTC, one in the past means now."""
        if eta.tzinfo is None:
            logger.warning("with_eta() got a datetime without a time zone and takes it as UTC: say which one you mean.")
            eta = eta.replace(tzinfo=UTC)
        return self.with_delay(max(0.0, eta.timestamp() - clock.time()))

    def with_timeout(self, timeout: float | timedelta) -> Self:
        """Stop the task after this long, whatever its own option says."""
        TIMEOUT.set(self.labels, seconds(timeout))
        return self

    def with_expires(self, expires: float | timedelta) -> Self:
        """Do not start it later than this long from the send."""
        self.expires = seconds(expires)
        return self

    def with_on_success(self, callback: Named | str) -> Self:
        """Send this task when this call has succeeded, in place of the task's own `on_success`."""
        return self._with_callback(ON_SUCCESS, callback)

    def with_on_failure(self, callback: Named | str) -> Self:
        """Send this task when this call has failed for good, in place of the task's own `on_failure`."""
        return self._with_callback(ON_FAILURE, callback)

    def _with_callback(self, label: Label[str], callback: Named | str) -> Self:
        name = callback_name(callback)
        if name == self.task_name:
            msg = f"task {name!r} cannot be its own callback"
            raise ValueError(msg)
        label.set(self.labels, name)
        return self

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def kiq(self, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskiqTask[R]:
        """Send; returns when the broker has accepted the message, or it was a duplicate (`outcome` of the handle).

        :raises SendTaskError: if it did not; `outcome` says whether that is certain.
        :raises DuplicateTaskError: for a duplicate of a task with `Unique(on_conflict="raise")`.
        """
        message = self._prepare_message(*args, **kwargs)
        if self.guard is not None:
            return (await self._send_guarded(self.guard, [message]))[0]
        await self.broker.send((message,))
        return self._handle(message.task_id, self._accepted)

    def kiq_sync(self, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskiqTask[R]:
        """Send from synchronous code; blocks until the broker has accepted the message.

        :raises RuntimeError: in a thread that runs an event loop: use `await kiq()` there.
        :raises SendTaskError: see `kiq`.
        :raises ConfigurationError: within a transaction on a connection that belongs to an event loop.
        """
        return run_from_sync(self.broker, lambda: self.kiq(*args, **kwargs), self.task_name)

    async def kiq_many(self, calls: Sequence[Call]) -> list[AsyncTaskiqTask[R]]:
        """Send many calls in one round trip: all accepted, or an error.

        :raises SendTaskError: see `kiq`.
        :raises DuplicateTaskError: see `kiq`; nothing is sent then.
        :raises ValueError: with a custom task id and more than one call.
        """
        if self.custom_task_id is not None and len(calls) > 1:
            msg = "one task id cannot serve several calls"
            raise ValueError(msg)
        messages = [self._prepare_message(*item.args, **item.kwargs) for item in calls]
        if messages and self.guard is not None:
            return await self._send_guarded(self.guard, messages)
        if messages:
            await self.broker.send(messages)
        outcome = self._accepted
        return [self._handle(item.task_id, outcome) for item in messages]

    async def _send_guarded(self, guard: Guard, messages: Sequence[TaskiqMessage]) -> list[AsyncTaskiqTask[R]]:
        refuse_within(self.broker, guard)
        sent = await guard.send(self.broker, messages, chosen=self.custom_task_id is not None)
        return [self._handle(item.task_id, item.outcome) for item in sent]

    @property
    def _accepted(self) -> Outcome:
        return "queued" if transaction_of(self.broker) is None else "pending"

    def _prepare_message(self, *args: Any, **kwargs: Any) -> TaskiqMessage:
        # Under this name taskiq-pipelines calls it.
        labels = self.labels.copy()
        if self.expires is not None:
            EXPIRES_AT.set(labels, clock.time() + self.expires)
        return TaskiqMessage(self.custom_task_id or self.broker.id_generator(), self.task_name, labels, list(args), kwargs)

    def _handle(self, task_id: str, outcome: Outcome) -> AsyncTaskiqTask[R]:
        backend, adapter = self.broker.result_backend, self.return_adapter
        return AsyncTaskiqTask(task_id, backend, adapter, task_name=self.task_name, outcome=outcome, broker=self.broker)

    def _routed(self, broker: Sender) -> dict[str, Any]:
        labels = dict(self._own_labels)
        if broker.routes is not None:
            labels.update(broker.routes.labels(self.task_name))
        return labels

    def _require(self, capability: Capability, option: str) -> None:
        require_capability(self.broker, capability, f"A send of task {self.task_name!r}", option)

    # -- scheduling ---------------------------------------------------------------------------------------------------------

    async def schedule_by_cron(
        self, source: ScheduleSource, cron: str | CronSpec, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """Store a schedule that fires by a cron expression.

        :raises NotImplementedError: if the source is read-only.
        """
        offset = cron.offset if isinstance(cron, CronSpec) else None
        return await create_schedule(self, source, list(args), dict(kwargs), cron=str(cron), cron_offset=offset)

    async def schedule_by_interval(
        self, source: ScheduleSource, interval: float | timedelta, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """Store a schedule that fires every `interval` (one second or more)."""
        return await create_schedule(self, source, list(args), dict(kwargs), interval=interval)

    async def schedule_by_time(
        self, source: ScheduleSource, time: datetime, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """Store a schedule that fires once; a naive time is UTC."""
        return await create_schedule(self, source, list(args), dict(kwargs), time=time)
