"""Tasks of a module that has no broker of its own."""

import os
import time
from pathlib import Path

from taskiq_core import TaskRouter

router = TaskRouter()


def note(event: str, key: str) -> None:
    with (Path(os.environ["CRASH_ARENA"]) / "ledger").open("a") as ledger:
        ledger.write(f"{time.time():.3f} {os.getpid()} {event} {key}\n")


@router.task("routed_nap")
def routed_nap(key: str, seconds: float) -> str:
    note("start", key)
    time.sleep(seconds)
    note("end", key)
    return key


@router.task("routed_aside", executor="process")
def routed_aside(key: str) -> str:
    note("start", key)
    note("end", key)
    return key


@router.task("routed_pill")
def routed_pill(key: str) -> None:
    note("start", key)
    os._exit(7)
