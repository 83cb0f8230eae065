"""The `task` decorator, for everything that tasks can be defined on."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Literal, ParamSpec, Protocol, overload

from typing_extensions import TypeVar

from taskiq_core.acks import AcknowledgeType
from taskiq_core.batch import Batch
from taskiq_core.decor import AsyncTaskiqDecoratedTask
from taskiq_core.due import check_spec
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.key_template import KeyTemplate
from taskiq_core.limits import Limit
from taskiq_core.options import Executor, TaskOptions, split_options
from taskiq_core.registry import default_task_name
from taskiq_core.retry import Retry
from taskiq_core.schedule import ScheduleSpec
from taskiq_core.uniqueness import Debounce, Throttle, Unique

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

logger = logging.getLogger("taskiq.registration")


class TaskDecorator:
    """What `broker.task(...)` with parentheses returns."""

    def __init__(self, owner: "TaskRegistrar", name: str | None, keywords: dict[str, Any]) -> None:
        self._owner = owner
        self._name = name
        self._keywords = keywords

    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTaskiqDecoratedTask[P, R]: ...
    @overload
    def __call__(self, func: Callable[P, R], /) -> AsyncTaskiqDecoratedTask[P, R]: ...
    def __call__(self, func: Callable[..., Any], /) -> AsyncTaskiqDecoratedTask[..., Any]:
        return self._owner.register_task(func, self._name, **self._keywords)


class BatchDecorator(Protocol):
    """What `broker.task(batch=...)` returns: `kiq` takes one element of the list, and gives one of the list returned."""

    @overload
    def __call__(self, func: Callable[[list[T]], Coroutine[Any, Any, None]], /) -> AsyncTaskiqDecoratedTask[[T], None]: ...
    @overload
    def __call__(self, func: Callable[[list[T]], Coroutine[Any, Any, Sequence[R]]], /) -> AsyncTaskiqDecoratedTask[[T], R]: ...
    @overload
    def __call__(self, func: Callable[[list[T]], None], /) -> AsyncTaskiqDecoratedTask[[T], None]: ...
    @overload
    def __call__(self, func: Callable[[list[T]], Sequence[R]], /) -> AsyncTaskiqDecoratedTask[[T], R]: ...


class TaskRegistrar:
    """Brokers, routers and the shared broker: things with a `task` decorator."""

    @abstractmethod
    def adopt(self, task: AsyncTaskiqDecoratedTask[..., Any]) -> None:
        """Take a new task into the registry."""

    @abstractmethod
    def _new_task(self, func: Callable[..., Any], name: str, **parts: Any) -> AsyncTaskiqDecoratedTask[..., Any]:
        """Make the task object."""

    @overload
    def task(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTaskiqDecoratedTask[P, R]: ...
    @overload
    def task(self, func: Callable[P, R], /) -> AsyncTaskiqDecoratedTask[P, R]: ...
    @overload
    def task(self, task_name: str | None = None, /, *, batch: Batch | int, **options: Any) -> BatchDecorator: ...
    @overload
    def task(
        self,
        task_name: str | None = None,
        /,
        *,
        queue: str | None = ...,
        priority: int | None = ...,
        retry: int | Retry | None = ...,
        timeout: float | timedelta | None = ...,
        store_result: bool | None = ...,
        result_ttl: float | timedelta | None = ...,
        expires: float | timedelta | None = ...,
        delay: float | timedelta | None = ...,
        ack_type: AcknowledgeType | str | None = ...,
        executor: Executor | None = ...,
        cast_types: bool | Literal["lenient"] | None = ...,
        dead_letter: bool | None = ...,
        limits: Limit | Sequence[Limit] | None = ...,
        unique: Unique | bool | None = ...,
        debounce: Debounce | float | timedelta | None = ...,
        throttle: Throttle | float | timedelta | None = ...,
        on_success: AsyncTaskiqDecoratedTask[..., Any] | str | None = ...,
        on_failure: AsyncTaskiqDecoratedTask[..., Any] | str | None = ...,
        batch: None = ...,
        schedule: ScheduleSpec | Sequence[ScheduleSpec] | Sequence[dict[str, Any]] | None = ...,
        **labels: Any,
    ) -> TaskDecorator: ...
    def task(self, func_or_name: Any = None, /, **keywords: Any) -> Any:
        """Make a task of a function; bare, or with a name and options.

        Any keyword that is no option becomes a label, as in Taskiq; one that looks like a misspelt option warns.

        :raises TaskNameConflictError: if another function has the name.
        :raises ConfigurationError: for an option that cannot be read.
        """
        name = keywords.pop("task_name", None)
        if callable(func_or_name):
            return self.register_task(func_or_name, name, **keywords)
        return TaskDecorator(self, func_or_name or name, keywords)

    @overload
    def register_task(
        self, func: Callable[P, Coroutine[Any, Any, R]], task_name: str | None = None, **keywords: Any
    ) -> AsyncTaskiqDecoratedTask[P, R]: ...
    @overload
    def register_task(
        self, func: Callable[P, R], task_name: str | None = None, **keywords: Any
    ) -> AsyncTaskiqDecoratedTask[P, R]: ...
    def register_task(
        self, func: Callable[..., Any], task_name: str | None = None, **keywords: Any
    ) -> AsyncTaskiqDecoratedTask[..., Any]:
        """The decorator as a plain call.

        :raises TaskNameConflictError: if another function has the name.
        :raises ConfigurationError: for an option that cannot be read, a key that names no argument, or a thing that is no
            function.
        """
        if isinstance(func, AsyncTaskiqDecoratedTask):
            msg = f"{func!r} is a task already; register its `original_func` instead."
            raise ConfigurationError(reason=msg)
        name = task_name or default_task_name(func)
        options, labels, warnings = split_options(keywords)
        if (wrong := _contradiction(options, name)) is not None:
            raise ConfigurationError(reason=f"Task {name!r} {wrong}")
        for spec in options.schedule:
            check_spec(spec)
        for key in (*(limit.key for limit in options.limits), None if options.unique is None else options.unique.key):
            KeyTemplate(key, func, task_name=name)
        for warning in warnings:
            logger.warning("Task %s: %s", name, warning)
        task = self._new_task(func, name, labels=labels, options=options)
        self.adopt(task)
        return task


def _contradiction(options: TaskOptions, name: str) -> str | None:
    """What is wrong with options that are fine one by one."""
    if name in (options.on_success, options.on_failure):
        return "is its own callback: it would be sent for ever. To run it again, use retry=."
    if options.batch is not None and options.executor == "process":
        return "takes batches and asks for executor='process', but batches run in their worker. Drop one of the two."
    if options.batch is not None and options.ack_type is AcknowledgeType.MANUAL:
        return "takes batches and asks for ack_type='manual', but has no Context to acknowledge with. Drop one of the two."
    return None
