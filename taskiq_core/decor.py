"""A function that has become a task."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec

from pydantic import TypeAdapter
from typing_extensions import TypeVar

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.abc.sender import Sender
from taskiq_core.batch_signature import element_of
from taskiq_core.created_schedule import CreatedSchedule
from taskiq_core.deduplication import Guard
from taskiq_core.guards import compile_guard
from taskiq_core.kicker import AsyncKicker, Call
from taskiq_core.labels import DELAY, LOCAL_ONLY, PRIORITY, QUEUE
from taskiq_core.options import TaskOptions
from taskiq_core.schedule import CronSpec
from taskiq_core.signature import resolve_hints, return_adapter
from taskiq_core.task import AsyncTaskiqTask

P = ParamSpec("P")
R = TypeVar("R", default=Any)


class AsyncTaskiqDecoratedTask(Generic[P, R]):
    """Call it to run the function here and now; `kiq` it to have a worker run it.

    `labels` are the custom ones; `options` the checked options.
    """

    def __init__(
        self,
        broker: Sender,
        task_name: str,
        original_func: Callable[P, Any],
        labels: dict[str, Any] | None = None,
        options: TaskOptions | None = None,
    ) -> None:
        self.broker = broker
        self.task_name = task_name
        self.original_func = original_func
        self.labels: dict[str, Any] = labels or {}
        self.options = options or TaskOptions()
        self._option_labels = _travelling(self.options)
        self.guard: Guard | None = compile_guard(task_name, self.message_func, self.options)
        self.__name__: str = getattr(original_func, "__name__", task_name)
        self.__qualname__: str = getattr(original_func, "__qualname__", task_name)
        self.__module__ = getattr(original_func, "__module__", __name__)
        self.__doc__ = original_func.__doc__
        self.__wrapped__ = original_func
        self._returns: TypeAdapter[Any] | None = None
        self._returns_known = False

    def __repr__(self) -> str:
        return f"<task {self.task_name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run the function itself, with no broker involved; a coroutine function gives a coroutine."""
        return self.original_func(*args, **kwargs)

    @property
    def message_func(self) -> Callable[..., Any]:
        """A function with the signature of one message: the original one, but for tasks that take batches."""
        return self.original_func if self.options.batch is None else element_of(self.original_func, self.task_name)

    @property
    def return_type(self) -> Any:
        """What the annotation says, or None where it says nothing."""
        return resolve_hints(self.original_func)[0].get("return")

    @property
    def return_adapter(self) -> TypeAdapter[Any] | None:
        """Turns results into what the annotation says; None where there is nothing to do."""
        # Compiled at first use, not at decoration: an annotation may name a class that is defined further down.
        if not self._returns_known:
            self._returns, self._returns_known = return_adapter(self.message_func), True
        return self._returns

    def kicker(self) -> AsyncKicker[P, R]:
        """A kicker of its own for one send with other settings."""
        return AsyncKicker(
            self.task_name,
            self.broker,
            self._send_labels(),
            self.return_adapter,
            expires=self.options.expires,
            guard=self.guard,
        )

    async def kiq(self, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskiqTask[R]:
        """Send; returns when the broker has accepted the message.

        :raises SendTaskError: if it did not; `outcome` says whether that is certain.
        """
        return await self.kicker().kiq(*args, **kwargs)

    async def kiq_many(self, calls: Sequence[Call]) -> list[AsyncTaskiqTask[R]]:
        """Send many calls in one round trip: `await task.kiq_many([call(1), call(2)])`.

        :raises SendTaskError: see `kiq`; all are accepted or none is known to be.
        """
        return await self.kicker().kiq_many(calls)

    def kiq_sync(self, *args: P.args, **kwargs: P.kwargs) -> AsyncTaskiqTask[R]:
        """Send from synchronous code; blocks until the broker has accepted the message.

        :raises RuntimeError: in a thread that runs an event loop: use `await kiq()` there.
        :raises SendTaskError: see `kiq`.
        """
        return self.kicker().kiq_sync(*args, **kwargs)

    async def schedule_by_cron(
        self, source: ScheduleSource, cron: str | CronSpec, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """See `AsyncKicker.schedule_by_cron`."""
        return await self.kicker().schedule_by_cron(source, cron, *args, **kwargs)

    async def schedule_by_interval(
        self, source: ScheduleSource, interval: float | timedelta, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """See `AsyncKicker.schedule_by_interval`."""
        return await self.kicker().schedule_by_interval(source, interval, *args, **kwargs)

    async def schedule_by_time(
        self, source: ScheduleSource, time: datetime, *args: P.args, **kwargs: P.kwargs
    ) -> CreatedSchedule[R]:
        """See `AsyncKicker.schedule_by_time`."""
        return await self.kicker().schedule_by_time(source, time, *args, **kwargs)

    def _send_labels(self) -> dict[str, Any]:
        if not self.labels:
            return self._option_labels
        return {name: value for name, value in self.labels.items() if name not in LOCAL_ONLY} | self._option_labels


def _travelling(options: TaskOptions) -> dict[str, Any]:
    """Options that the broker acts on travel with the message; the rest stays here, where the worker finds it."""
    labels: dict[str, Any] = {}
    QUEUE.set(labels, options.queue)
    PRIORITY.set(labels, options.priority)
    DELAY.set(labels, options.delay)
    return labels
