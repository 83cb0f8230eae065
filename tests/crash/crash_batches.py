"""Tasks that take batches: `taskiq worker crash_batches:broker`."""

import anyio
from crash_app import broker, kill_myself, note, pass_point

from taskiq_core import Batch

__all__ = ["broker"]


@broker.task("together", batch=Batch(100, within=0.5))
async def together(keys: list[str]) -> list[str]:
    for key in keys:
        note("start", key)
    await anyio.sleep(0.05)
    note("size", str(len(keys)))
    pass_point("function")
    for key in keys:
        note("end", key)
    return keys


@broker.task("bitter", batch=Batch(10, within=0.3))
async def bitter(keys: list[str]) -> list[str]:
    for key in keys:
        note("start", key)
    await anyio.sleep(0.05)
    if "pill" in keys:
        kill_myself()
    for key in keys:
        note("end", key)
    return keys
