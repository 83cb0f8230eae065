"""`taskiq queues` as an operator meets it: beside a worker, on one SQLite file."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.processes import running

APP = """
import os, sys
import anyio
from taskiq_core import InMemoryBroker
from taskiq_core.broker import AsyncBroker
from taskiq_core_brokers_sqlite import SQLiteBroker

broker = SQLiteBroker.from_url("sqlite:///jobs.db")
memory = InMemoryBroker()

class Plain(AsyncBroker):
    async def kick_many(self, messages): ...
    async def listen(self):
        yield b""

plain = Plain()

@broker.task("mail", queue="mail")
async def mail(to: str) -> None:
    os.write(1, f"mail to {to}\\n".encode())

async def send(names):
    async with broker:
        for name in names:
            await mail.kiq(name)

if __name__ == "__main__":
    anyio.run(send, sys.argv[1:])
"""

Queue = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def queue(place: Path) -> Queue:
    """Runs `taskiq queues` and returns its exit code and what it printed."""

    def run(*arguments: str, app: str = "app:broker") -> tuple[int, list[str]]:
        with running("taskiq", "queues", *arguments, cwd=place, env={"TASKIQ_APP": app}) as command:
            return command.wait(), command.lines

    return run


def send(place: Path, *names: str) -> None:
    with running("python", "app.py", *names, cwd=place) as sender:
        assert sender.wait() == 0, sender.report


def test_workers_that_run_keep_a_pause(place: Path, queue: Queue) -> None:
    with running("taskiq", "worker", "app:broker", "--processes", "2", cwd=place) as worker:
        send(place, "Ada")
        worker.wait_for_line("^mail to Ada")
        assert queue("pause", "mail") == (0, ["Paused mail"])
        send(place, "Grace", "Edsger")
        with running("taskiq", "worker", "app:broker", "--burst", cwd=place) as burst:
            assert burst.wait() == 0  # for a worker a paused queue is an empty one
        assert queue("list", "mail") == (0, ["queue  ready  delayed  leased", "mail       2        0       0  paused"])
        assert queue("resume", "mail") == (0, ["Resumed mail"])
        worker.wait_for_line("^mail to", count=3)
        assert "mail to" not in burst.output


def test_a_pause_is_there_before_and_after_the_workers(place: Path, queue: Queue) -> None:
    assert queue("pause", "app:broker", "mail", app="nothing:else")[0] == 0
    send(place, "Ada")
    for _ in range(2):
        with running("taskiq", "worker", "app:broker", "--burst", cwd=place) as worker:
            assert worker.wait() == 0
            assert "mail to" not in worker.output
    assert queue("purge", "mail") == (0, ["Purged mail: 1 deleted"])
    assert queue("purge", "mail") == (0, ["Purged mail: 0 deleted"])


def test_the_queue_of_an_outbox_is_no_stranger(queue: Queue) -> None:
    code, lines = queue("list", "taskiq.outbox")
    assert (code, lines) == (0, ["queue          ready  delayed  leased", "taskiq.outbox      0        0       0"])


def test_without_names_all_that_is_known_is_shown(queue: Queue) -> None:
    code, lines = queue("pause", "elsewhere")
    assert (code, lines[-1]) == (0, "Paused elsewhere")
    assert "No task of app:broker is sent to the queue 'elsewhere' by itself: is that its name?" in lines[0]
    assert queue("list") == (
        0,
        [
            "queue      ready  delayed  leased",
            "default        0        0       0",
            "mail           0        0       0",
            "elsewhere      0        0       0  paused",
        ],
    )


@pytest.mark.parametrize(
    ("app", "arguments", "sentence"),
    [
        ("app:broker", ["pause"], "No queue given. Name one after the application: app:broker QUEUE"),
        ("app:brker", ["list"], "Module 'app' has no attribute 'brker'. Did you mean 'broker'?"),
        ("app:memory", ["list"], "app:memory keeps its messages in one process: from another one there is nothing to see."),
        ("app:plain", ["purge", "mail"], "app:plain is a Plain, which cannot look into its queues."),
    ],
)
def test_what_cannot_work_is_said_in_a_sentence(queue: Queue, app: str, arguments: list[str], sentence: str) -> None:
    code, lines = queue(*arguments, app=app)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"Error: {sentence}")


def test_a_locked_file_is_an_error_in_a_sentence(place: Path, queue: Queue) -> None:
    assert queue("list")[0] == 0
    with closing(sqlite3.connect(place / "jobs.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, lines = queue("pause", "mail")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("Error: ")
    assert "is locked by another program" in lines[0]
