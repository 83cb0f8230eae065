"""How a running task says how far it has come."""

from typing import Annotated, Any, Generic

from typing_extensions import TypeVar

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.context import Context
from taskiq_core.marker import TaskiqDepends
from taskiq_core.progress import TaskProgress, TaskState

__all__ = ["Progress", "ProgressTracker", "TaskProgress", "TaskState"]

T = TypeVar("T", default=Any)


class ProgressTracker(Generic[T]):
    """Taskiq's way: a state and anything in `meta`. Injected with `tracker: ProgressTracker[T] = TaskiqDepends()`."""

    def __init__(self, context: Annotated[Context, TaskiqDepends()]) -> None:
        self._task_id = context.task_id
        self._backend: AsyncResultBackend[Any] = context.broker.result_backend

    async def set_progress(self, state: TaskState | str, meta: T | None = None) -> None:
        """Store a state; without `meta` the one stored before stays.

        :raises ResultBackendError: or the driver's own error, if the backend fails.
        """
        if meta is None:
            previous = await self.get_progress()
            meta = None if previous is None else previous.meta
        await self._backend.set_progress(self._task_id, TaskProgress(state=state, meta=meta))

    async def get_progress(self) -> TaskProgress[T] | None:
        """What is stored for this task; None if nothing is."""
        return await self._backend.get_progress(self._task_id)


class Progress:
    """A position on the way to a total. Injected with `progress: Progress = TaskiqDepends()`."""

    def __init__(self, context: Annotated[Context, TaskiqDepends()]) -> None:
        self._task_id = context.task_id
        self._backend: AsyncResultBackend[Any] = context.broker.result_backend
        self._meta: Any = None

    async def set(self, current: float, total: float = 100, message: str = "", meta: Any = None) -> None:
        """Store a position; with one argument it is percent. Without `meta` the last one that was set here stays.

        Every call is one write to the result backend: in a tight loop, report every n-th item.

        :raises ResultBackendError: or the driver's own error, if the backend fails.
        """
        self._meta = self._meta if meta is None else meta
        progress = TaskProgress[Any](current=current, total=total, message=message, meta=self._meta)
        await self._backend.set_progress(self._task_id, progress)
