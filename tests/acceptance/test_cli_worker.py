"""`taskiq worker` as an operator meets it: real processes on an SQLite file."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from support.processes import DEADLINE, RunningProcess, running

APP = """
import os, sys, time
import anyio
from taskiq_core_brokers_sqlite import SQLiteBroker

broker = SQLiteBroker.from_url("sqlite:///jobs.db")

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

@broker.task("hello")
async def hello(n: int) -> None:
    say("hello", n, os.getpid())

@broker.task("nap")
async def nap(seconds: float) -> None:
    say("asleep", os.getpid())
    await anyio.sleep(seconds)
    say("awake", os.getpid())

@broker.task("hog")
async def hog(seconds: float) -> None:
    say("asleep", os.getpid())
    time.sleep(seconds)

@broker.task("block", queue="threads")
def block(seconds: float) -> None:
    say("asleep", os.getpid())
    time.sleep(seconds)

async def send(name, values):
    async with broker:
        for value in values:
            await broker.kicker(name).kiq(value)

if __name__ == "__main__":
    anyio.run(send, sys.argv[1], [float(value) for value in sys.argv[2:]])
"""

PLAIN = """
from taskiq_core.broker import AsyncBroker

class PlainBroker(AsyncBroker):
    async def kick(self, message): ...
    async def listen(self):
        yield b""

broker = PlainBroker()

@broker.task("x", priority=9)
async def x() -> None: ...
"""

Worker = Callable[..., AbstractContextManager[RunningProcess]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def worker(place: Path) -> Worker:
    @contextmanager
    def start(*arguments: str, app: str = "app:broker", **env: str) -> Iterator[RunningProcess]:
        with running("taskiq", "worker", app, *arguments, cwd=place, env={"TMPDIR": str(place), **env}) as process:
            yield process

    return start


class Terminal:
    """A command in a pseudo-terminal of its own."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.output = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ["TMPDIR"] = str(cwd)
            os.execv(sys.executable, [sys.executable, "-m", "taskiq_core.cli", *arguments])

    def read_until(self, text: str | None) -> None:
        """Read until `text`, or to the end; blocks no longer than `DEADLINE` without output."""
        while text is None or text not in self.output:
            if not select.select([self._fd], [], [], DEADLINE)[0]:
                raise AssertionError(f"no {text!r} in\n{self.output}")
            try:
                self.output += os.read(self._fd, 4096).decode(errors="replace")
            except OSError:  # how Linux says that the other end is closed
                assert text is None, self.output
                return

    def press(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def hang_up(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def wait(self) -> int:
        if self._fd >= 0:
            self.read_until(None)
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        raise AssertionError(f"still running\n{self.output}")


@contextmanager
def in_terminal(*arguments: str, cwd: Path) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, cwd=cwd)
    try:
        yield terminal
    finally:
        if terminal.pid:
            os.kill(terminal.pid, signal.SIGKILL)
            os.waitpid(terminal.pid, 0)


def send(place: Path, name: str, *values: float) -> None:
    subprocess.run([sys.executable, "app.py", name, *map(str, values)], cwd=place, check=True)


def pid_in(line: str) -> int:
    return int(line.rsplit(maxsplit=1)[-1])


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop", "trio"])
def test_burst_runs_what_there_is_on_every_loop(place: Path, worker: Worker, loop: str) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    send(place, "hello", *range(5))
    with worker("--burst", "--loop", loop) as process:
        assert process.wait() == 0
        assert sorted(line.split()[1] for line in process.lines if line.startswith("hello")) == list("01234")


def test_all_queues_of_the_tasks_are_served_unless_some_are_named(place: Path, worker: Worker) -> None:
    send(place, "block", 0)
    with worker("--burst", "--queue", "default,other") as process:
        assert process.wait() == 0
        assert "asleep" not in process.output
    with worker("--burst") as process:
        assert process.wait() == 0
        assert "asleep" in process.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_running_tasks_finish(place: Path, worker: Worker, number: signal.Signals) -> None:
    send(place, "nap", 1)
    with worker("--processes", "2") as process:
        process.wait_for_line("^asleep")
        process.send_signal(number)
        assert process.wait() == 0
        assert "\nawake" in process.output
        assert "Traceback" not in process.output


def test_a_stop_that_reaches_every_process_is_still_one_stop(place: Path, worker: Worker) -> None:
    send(place, "nap", 1)
    with worker() as process:
        child = pid_in(process.wait_for_line("^asleep"))
        os.kill(child, signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert "\nawake" in process.output


def test_the_second_signal_gives_running_tasks_back_at_once(place: Path, worker: Worker) -> None:
    send(place, "nap", 600)
    with worker() as process:
        process.wait_for_line("^asleep")
        process.send_signal(signal.SIGINT)
        process.wait_for_line("SIGTERM: stopping")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    with worker("--grace", "0") as process:
        process.wait_for_line("^asleep", timeout=15)  # the lease alone would take 30 s
        assert process.stop() == 0


def test_an_orphan_runs_again_at_once_when_its_process_was_killed(place: Path, worker: Worker) -> None:
    send(place, "nap", 600)
    with worker("--grace", "0") as process:
        os.kill(pid_in(process.wait_for_line("^asleep")), signal.SIGKILL)
        process.wait_for_line("^asleep", count=2, timeout=15)
        assert process.stop() == 0


def test_orphans_run_again_at_once_when_everything_was_killed(place: Path, worker: Worker) -> None:
    send(place, "nap", 600)
    with worker() as process:
        child = pid_in(process.wait_for_line("^asleep"))
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(child, signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with worker("--grace", "0") as process:
        process.wait_for_line("^asleep", timeout=15)
        assert process.stop() == 0
    assert not list(place.glob("taskiq-*/app-broker-*/*"))


def test_a_worker_ends_its_work_when_its_supervisor_was_killed(place: Path, worker: Worker) -> None:
    send(place, "nap", 1)
    with worker() as process:
        process.wait_for_line("^asleep")
        process.send_signal(signal.SIGKILL)
        process.wait_for_line("The supervisor is dead")
        process.wait_for_line("^awake")


def test_a_worker_whose_loop_is_stuck_does_not_outlive_its_supervisor(place: Path, worker: Worker) -> None:
    send(place, "hog", 600)
    with worker("--grace", "0.1") as process:
        process.wait_for_line("^asleep")
        process.send_signal(signal.SIGKILL)
        with pytest.raises(AssertionError, match="the process ended"):
            process.wait_for_line("^awake")


@pytest.mark.parametrize(("task", "code"), [("block", 0), ("hog", 1)])
def test_work_that_cannot_be_cancelled_does_not_hold_up_the_end(place: Path, worker: Worker, task: str, code: int) -> None:
    send(place, task, 600)
    with worker("--grace", "0.1") as process:
        process.wait_for_line("^asleep")
        assert process.stop(timeout=15) == code


def test_max_tasks_per_child_replaces_the_process(place: Path, worker: Worker) -> None:
    send(place, "hello", *range(3))
    with worker("--max-tasks-per-child", "1", "--concurrency", "1", "--prefetch", "0") as process:
        process.wait_for_line("^hello", count=3)
        pids = {pid_in(line) for line in process.lines if line.startswith("hello")}
        assert len(pids) == 3
        assert process.stop() == 0


def test_json_lines(place: Path, worker: Worker) -> None:
    send(place, "nap", 0)
    with worker("--burst", "--log-format", "json", "--processes", "2") as process:
        assert process.wait() == 0
    records = [json.loads(line) for line in process.lines if not line.startswith(("asleep", "awake"))]
    assert {record["process"] for record in records} == {"supervisor", "worker"}
    assert all({"ts", "level", "logger", "pid", "message"} <= record.keys() for record in records)


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ("nowhere:broker", "Error: Module 'nowhere' was not found"),
        (
            "app:brokr",
            "Error: Module 'app' has no attribute 'brokr'. Did you mean 'broker'? Brokers in that module: app:broker.",
        ),
        ("app:hello", "Error: 'app:hello' is an AsyncTaskiqDecoratedTask, not a broker. Brokers in that module: app:broker."),
        ("app", "Error: 'app' does not say which object to use. Write module:attribute, for instance app:broker"),
    ],
)
def test_a_wrong_app_is_explained_once(worker: Worker, app: str, text: str) -> None:
    with worker("--processes", "2", app=app) as process:
        assert process.wait() == 2
        errors = [line for line in process.lines if line.startswith("Error")]
        assert len(errors) == 1
        assert errors[0].startswith(text)
        assert "Traceback" not in process.output


def test_an_option_that_the_broker_lacks_ends_the_start(place: Path, worker: Worker) -> None:
    (place / "plain.py").write_text(PLAIN)
    with worker(app="plain:broker") as process:
        assert process.wait() == 2
        assert "Error: Task 'x' asks for priority=9" in process.output
        assert "Traceback" not in process.output


def test_ctrl_c_in_a_terminal_is_one_graceful_stop(place: Path) -> None:
    send(place, "nap", 1)
    with in_terminal("worker", "app:broker", cwd=place) as terminal:
        terminal.read_until("asleep")
        terminal.press(b"\x03")
        assert terminal.wait() == 0
        assert "awake" in terminal.output
        assert "Stopping: running tasks have 30 s" in terminal.output


def test_a_terminal_that_goes_away_stops_the_worker(place: Path) -> None:
    send(place, "nap", 1)
    with in_terminal("worker", "app:broker", cwd=place) as terminal:
        terminal.read_until("asleep")
        terminal.hang_up()
        assert terminal.wait() == 0


def test_a_wrong_app_is_one_log_line_for_machines(worker: Worker) -> None:
    with worker("--log-format", "json", app="nowhere:broker") as process:
        assert process.wait() == 2
        assert re.search("'nowhere' was not found", json.loads(process.lines[-1])["message"])
