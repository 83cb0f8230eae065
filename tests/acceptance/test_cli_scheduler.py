"""`taskiq scheduler` as an operator meets it: a scheduler and a worker, on one SQLite file."""

import signal
from pathlib import Path

import pytest
from support.processes import running

APP = """
import os
from taskiq_core.schedule import Every
from taskiq_core.schedule_sources.label_based import LabelScheduleSource
from taskiq_core.scheduler import TaskiqScheduler
from taskiq_core_brokers_sqlite import SQLiteBroker

broker = SQLiteBroker.from_url("sqlite:///jobs.db")
scheduler = TaskiqScheduler(broker, [LabelScheduleSource(broker)])

@broker.task("tick", schedule=[Every(1)])
async def tick() -> None:
    os.write(1, b"tick\\n")
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("app", ["app:broker", "app:scheduler"])
@pytest.mark.parametrize("loop", ["auto", "trio"])
def test_what_is_due_is_sent_and_run(place: Path, app: str, loop: str) -> None:
    env = {"TMPDIR": str(place)}
    with (
        running("taskiq", "worker", "app:broker", cwd=place, env=env) as worker,
        running("taskiq", "scheduler", app, "--loop", loop, cwd=place, env=env) as scheduler,
    ):
        worker.wait_for_line("^tick", count=2)
        assert scheduler.stop() == 0
        assert worker.stop() == 0
        assert "Traceback" not in scheduler.output


def test_ctrl_c_ends_it_without_a_traceback(place: Path) -> None:
    with running("taskiq", "scheduler", "app:scheduler", cwd=place) as scheduler:
        scheduler.wait_for_line("Scheduler of app:scheduler")
        scheduler.wait_for_line("Only one scheduler may run")
        scheduler.send_signal(signal.SIGINT)
        assert scheduler.wait() == 0
        assert "Traceback" not in scheduler.output


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ("app:tick", "Error: 'app:tick' is an AsyncTaskiqDecoratedTask, neither a scheduler nor a broker."),
        ("app:schedule", "Error: Module 'app' has no attribute 'schedule'. Did you mean 'scheduler'?"),
    ],
)
def test_a_wrong_app_is_explained(place: Path, app: str, text: str) -> None:
    with running("taskiq", "scheduler", app, cwd=place) as scheduler:
        assert scheduler.wait() == 2
        assert scheduler.output.startswith(text)
