"""How cancellations are written down in a coordinator: a mark for each task, and a token that changes with every new mark."""

from collections.abc import Iterable, Mapping

from taskiq_core.ids import new_task_id

CANCELS = "cancels"
"""Where it is, there are marks; where it differs from what was seen last, there may be new ones."""
LIVES = 86_400.0
"""Seconds that marks live."""


def mark_key(task_id: str) -> str:
    """Where the mark of a task is."""
    return f"cancel:{task_id}"


def new_marks(task_ids: Iterable[str], reason: str) -> dict[str, bytes | None]:
    """What to put, in one step, to cancel these tasks."""
    text = reason.encode(errors="backslashreplace")
    return {CANCELS: new_task_id().encode(), **dict.fromkeys(map(mark_key, task_ids), text)}


def reasons_in(values: Mapping[str, bytes], task_ids: Iterable[str]) -> dict[str, str]:
    """Those of the tasks that are marked, and why."""
    found = ((task_id, values.get(mark_key(task_id))) for task_id in task_ids)
    return {task_id: value.decode(errors="replace") for task_id, value in found if value is not None}
