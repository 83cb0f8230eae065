"""The supervisor with real processes: small ones that are not workers but keep to the same rules."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import DEADLINE, RunningProcess, running

DRIVER = """
import logging, os, sys
from taskiq_core.cli import supervisor
from taskiq_core.cli.run_directory import RunDirectory
logging.basicConfig(level="INFO", format="%(message)s")
supervisor.HEALTHY = float(os.environ.get("HEALTHY", supervisor.HEALTHY))
manager = supervisor.Supervisor(
    [sys.executable, sys.argv[1]],
    processes=int(sys.argv[2]),
    grace=float(sys.argv[3]),
    burst="burst" in sys.argv,
    directory=RunDirectory.create("fake"),
)
code = manager.run()
print("failure:", manager.failure)
sys.exit(code)
"""

CHILD = """
import argparse, fcntl, os, signal, subprocess, sys, threading, time
parser = argparse.ArgumentParser()
parser.add_argument("--lifeline", type=int)
parser.add_argument("--report", type=int)
parser.add_argument("--recorder")
parser.add_argument("--predecessor", action="append", default=[])
args = parser.parse_args()
mode = os.environ["MODE"]

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # one write: lines of several processes do not mix

def end(text, code=0):
    say(text, os.getpid())
    os._exit(code)

def outlive():
    os.read(args.lifeline, 1)
    end("orphaned")

if mode == "crash":
    end("up", 1)
if mode == "wrong":
    os.write(args.report, b"no such application")
    end("up", 2)
if mode == "done":
    end("up")
if mode == "recycle":
    end("up", 75)

signal.signal(signal.SIGTERM, lambda *_: end("term") if mode == "serve" else say("ignored"))
signal.signal(signal.SIGQUIT, lambda *_: end("quit") if mode == "stubborn" else say("ignored"))
recorder = open(args.recorder, "w")
fcntl.flock(recorder, fcntl.LOCK_EX)
if mode == "helped":
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say("helper", helper.pid)
threading.Thread(target=outlive, daemon=True).start()
for path in args.predecessor:
    os.unlink(path)
say("up", os.getpid(), "after", len(args.predecessor), "dead")
while True:
    time.sleep(0.05)  # signal.pause() can miss a signal that comes just before it
"""


@pytest.fixture
def child(tmp_path: Path) -> Path:
    path = tmp_path / "child.py"
    path.write_text(CHILD)
    return path


@contextmanager
def supervised(
    child: Path, mode: str, *, processes: int = 1, grace: float = 30, healthy: float = 5
) -> Iterator[RunningProcess]:
    env = {"MODE": mode, "TMPDIR": str(child.parent), "HEALTHY": str(healthy)}
    extra = ["burst"] if mode == "done" else []
    with running("python", "-c", DRIVER, child, str(processes), str(grace), *extra, cwd=child.parent, env=env) as process:
        yield process


def up(process: RunningProcess, count: int = 1) -> int:
    return int(process.wait_for_line("^up ", count=count).split()[1])


def test_a_killed_process_is_replaced_at_once_and_its_recorder_handed_over(child: Path) -> None:
    with supervised(child, "serve") as process:
        os.kill(up(process), signal.SIGKILL)
        process.wait_for_line("killed by SIGKILL.*starts now")
        process.wait_for_line("^up .* after 1 dead")
        assert process.stop() == 0
    assert not list(child.parent.glob("taskiq-*/*/*")), "recorders that were read or are of no use are gone"


def test_what_a_killed_process_had_started_does_not_go_on(child: Path) -> None:
    with supervised(child, "helped", grace=0) as process:
        helper = int(process.wait_for_line("^helper ").split()[1])
        os.kill(up(process), signal.SIGKILL)
        up(process, 2)
        deadline = time.monotonic() + DEADLINE
        while is_running(helper):  # a signal takes a moment
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.stop()


def test_a_process_that_keeps_dying_is_restarted_ever_more_slowly(child: Path) -> None:
    with supervised(child, "crash") as process:
        process.wait_for_line("exit code 1; a new one starts now")
        process.wait_for_line("exit code 1; a new one starts in 0.5 s")
        process.wait_for_line("exit code 1; a new one starts in 1 s")
        up(process, 4)
        assert process.stop() == 0


def test_a_process_that_has_done_its_share_is_replaced_without_delay(child: Path) -> None:
    with supervised(child, "recycle") as process:
        up(process, 10)
        assert " in " not in process.output
        assert process.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_all_processes_gracefully(child: Path, number: signal.Signals) -> None:
    with supervised(child, "serve", processes=3) as process:
        pids = {up(process, count) for count in (1, 2, 3)}
        process.send_signal(number)
        assert process.wait() == 0
        assert {int(line.split()[1]) for line in process.lines if line.startswith("term")} == pids


def test_the_second_signal_is_harder(child: Path) -> None:
    with supervised(child, "stubborn") as process:
        up(process)
        process.send_signal(signal.SIGINT)
        process.wait_for_line("^ignored")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert "\nquit " in process.output


def test_the_third_signal_kills(child: Path) -> None:
    with supervised(child, "deaf") as process:
        pid = up(process)
        process.send_signal(signal.SIGTERM)
        process.wait_for_line("^ignored")
        process.send_signal(signal.SIGTERM)
        process.wait_for_line("given back")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 1
        assert not is_running(pid)


def test_ctrl_c_that_a_process_manager_repeats_as_sigterm_is_one_request(child: Path) -> None:
    with supervised(child, "deaf") as process:
        up(process)
        process.send_signal(signal.SIGINT)
        process.wait_for_line("^Stopping: ")
        process.send_signal(signal.SIGTERM)
        process.wait_for_line("^SIGTERM too")
        process.send_signal(signal.SIGTERM)
        process.wait_for_line("given back")
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 1
        assert process.output.count("Killing the worker") == 1


def test_no_process_outlives_the_grace_time(child: Path) -> None:
    with supervised(child, "deaf", grace=0.1) as process:
        pid = up(process)
        assert process.stop(timeout=10) == 1
        assert not is_running(pid)
        assert "did not end in time" in process.output


def test_processes_notice_that_their_supervisor_was_killed(child: Path) -> None:
    with supervised(child, "serve", processes=2) as process:
        pids = {up(process), up(process, 2)}
        process.send_signal(signal.SIGKILL)
        assert {int(process.wait_for_line("^orphaned", count=count).split()[1]) for count in (1, 2)} == pids


def test_a_new_supervisor_hands_over_what_a_killed_one_left(child: Path) -> None:
    with supervised(child, "deaf", processes=2) as process:
        pids = [up(process), up(process, 2)]
        os.kill(process.pid, signal.SIGSTOP)  # it must not see its children die
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with supervised(child, "serve") as process:
        process.wait_for_line("^up .* after 2 dead")
        assert process.stop() == 0
    assert not list(child.parent.glob("taskiq-*/*/*"))


def test_a_living_neighbour_is_left_alone(child: Path) -> None:
    with supervised(child, "serve") as first, supervised(child, "serve") as second:
        up(first)
        second.wait_for_line("^up .* after 0 dead")


def test_wrong_configuration_ends_everything(child: Path) -> None:
    with supervised(child, "wrong", processes=2) as process:
        assert process.wait() == 2
        assert process.lines[-1] == "failure: no such application"


def test_burst_ends_when_all_processes_have(child: Path) -> None:
    with supervised(child, "done", processes=2) as process:
        assert process.wait() == 0
        assert sum(line.startswith("up") for line in process.lines) == 2


def test_sighup_replaces_all_processes_one_after_the_other(child: Path) -> None:
    with supervised(child, "serve", processes=2, healthy=1.0) as process:
        before = {up(process), up(process, 2)}
        process.send_signal(signal.SIGHUP)
        after = {up(process, 3), up(process, 4)}
        assert not before & after
        events = [line.split()[0] for line in process.lines if line.startswith(("up ", "term "))]
        assert events == ["up", "up", "term", "up", "term", "up"]
        assert process.stop() == 0


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
