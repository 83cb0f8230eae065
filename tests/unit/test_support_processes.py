"""The process helper that crash and acceptance tests stand on."""

import os
import signal

import pytest
from support.processes import children_of, running

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid)
time.sleep(600)
"""


def test_a_line_is_found_when_it_comes_and_also_afterwards() -> None:
    with running("python", "-c", "print('one'); print('two'); print('two')") as process:
        assert process.wait_for_line("tw") == "two"
        assert process.wait_for_line("one") == "one"
        assert process.wait_for_line("two", count=2) == "two"
        assert process.wait() == 0


def test_a_line_that_cannot_come_any_more_fails_with_the_output() -> None:
    with running("python", "-c", "print('only this')") as process, pytest.raises(AssertionError, match="only this"):
        process.wait_for_line("something else")


def test_stop_returns_how_it_ended() -> None:
    with running("python", "-c", "import time; print('up'); time.sleep(600)") as process:
        process.wait_for_line("up")
        assert process.stop() == -signal.SIGTERM


def test_nothing_of_the_group_is_left() -> None:
    with running("python", "-c", PARENT) as process:
        child = int(process.wait_for_line("child").split()[1])
        assert children_of(process.pid) == [child]
    with pytest.raises(AssertionError, match="ended"):
        process.wait_for_line("never")  # the pipe closes when the last holder of it is dead
    assert children_of(os.getpid()).count(process.pid) == 0
