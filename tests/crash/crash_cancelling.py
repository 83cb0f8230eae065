"""Tasks to be cancelled: `taskiq worker crash_cancelling:broker`."""

import subprocess
import sys
import time

import anyio
from crash_app import broker, note

from taskiq_core import Context, Retry, TaskiqDepends

__all__ = ["broker"]


@broker.task("waits")
async def waits(key: str) -> None:
    note("start", key)
    try:
        await anyio.sleep_forever()
    finally:
        note("end", f"{key} tidied")


@broker.task("listens")
def listens(key: str, ctx: Context = TaskiqDepends()) -> None:
    """In a thread."""
    note("start", key)
    told = ctx.cancelled.wait(60)
    note("end", f"{key} {told} {ctx.cancelled.reason}")


@broker.task("in_process", executor="process")
def in_process(key: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note("start", f"{key} {child.pid}")
    note("start", key)
    time.sleep(600)


@broker.task("comes_back", retry=Retry(5, delay=3600))
async def comes_back(key: str) -> None:
    note("start", key)
    raise ValueError(key)
