"""Tasks with callbacks: `taskiq worker crash_callbacks:broker`."""

import anyio
from crash_app import broker, note

from taskiq_core import Context, TaskiqDepends

__all__ = ["broker"]


@broker.task("told", queue="callbacks")
async def told(task_id: str, result: str | None = None, exception: str | None = None, ctx: Context = TaskiqDepends()) -> None:
    note("start", ctx.task_id)
    note("end", f"{ctx.task_id} {result or exception}")


@broker.task("telling", on_success=told, on_failure=told)
async def telling(key: str) -> str:
    note("start", key)
    await anyio.sleep(0.01)
    note("end", key)
    if key.endswith("0"):
        raise ValueError(key)
    return key
