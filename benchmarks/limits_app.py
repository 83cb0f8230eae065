"""What the workers of `benchmarks.limits` run: tasks that write down when they began and ended."""

import os
import time

import anyio

from benchmarks.limits import LEDGER, URL
from taskiq_core import Concurrency, Rate, broker_from_url

broker = broker_from_url(os.environ[URL])
_ledger = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(step: int) -> None:
    """One start (1) or end (-1)."""
    os.write(_ledger, f"{time.time_ns()} {os.getpid()} {step}\n".encode())


@broker.task("paced", limits=Rate(100, per=1.0), store_result=False)
async def paced() -> None:
    """A hundred per second."""
    note(1)


@broker.task("few", limits=Concurrency(10), store_result=False)
async def few(seconds: float) -> None:
    """Ten at once."""
    note(1)
    await anyio.sleep(seconds)
    note(-1)
