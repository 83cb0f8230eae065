"""The end of tasks that were taken out of their queues: what a worker notes of others has to be noted of them, too."""

from collections.abc import Iterable, Mapping
from typing import Any

from taskiq_core import clock
from taskiq_core.abc.sender import Sender
from taskiq_core.exceptions import TaskCancelledError
from taskiq_core.records import TaskStatus, Transition
from taskiq_core.result import TaskiqResult


async def store_removed(broker: Sender, ttls: Mapping[str, float | None], error: TaskCancelledError) -> None:
    """Give these tasks the error as their result, each with its time to live in seconds; nothing where results are not kept."""
    backend = broker.result_backend
    if ttls and backend.keeps_results:
        result = TaskiqResult[Any](is_err=True, return_value=None, error=error)
        await backend.set_results([backend.pack(task_id, result, ttl) for task_id, ttl in ttls.items()])


async def record_removed(broker: Sender, task_ids: Iterable[str], names: Mapping[str, str], error: TaskCancelledError) -> None:
    """Note these tasks as cancelled, with the names of those that have any; nothing where there are no records."""
    if broker.records is not None:
        note, now = f"{type(error).__name__}: {error}", clock.time()
        steps = [Transition(task_id, TaskStatus.CANCELLED, now, names.get(task_id, ""), error=note) for task_id in task_ids]
        await broker.records.record(steps)
