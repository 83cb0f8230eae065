"""What the measured workers run: `taskiq worker benchmarks.worker_app:broker`."""

import json
import os
from pathlib import Path

from benchmarks.stopwatch import Stopwatch
from benchmarks.tasks import add_tasks
from benchmarks.workers import REPORT, URL, broker_at
from taskiq_core import TaskiqEvents, TaskiqState

broker = broker_at(os.environ[URL])
stopwatch = Stopwatch.on(broker)
add_tasks(broker)


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
def report(_: TaskiqState) -> None:
    """Leave what the stopwatch of this process says."""
    if REPORT in os.environ:
        measured = {"tasks": stopwatch.tasks, "time": stopwatch.time, "laps": stopwatch.laps}
        Path(os.environ[REPORT]).write_text(json.dumps(measured))
