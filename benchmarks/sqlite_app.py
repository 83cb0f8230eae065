"""What the measured workers run: `taskiq worker benchmarks.sqlite_app:broker`."""

import json
import os
from pathlib import Path

from benchmarks.stopwatch import Stopwatch
from taskiq_core import TaskiqEvents, TaskiqState, broker_from_url

URL = "TASKIQ_BENCHMARK_URL"
REPORT = "TASKIQ_BENCHMARK_REPORT"

broker = broker_from_url(os.environ[URL])
stopwatch = Stopwatch.on(broker)


@broker.task("noop")
async def noop() -> None:
    """The cheapest task."""


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
def report(_: TaskiqState) -> None:
    """Leave what the stopwatch of this process says."""
    if REPORT in os.environ:
        Path(os.environ[REPORT]).write_text(json.dumps([stopwatch.tasks, *stopwatch.time]))
