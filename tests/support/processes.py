"""Real processes for tests: started, watched line by line, and always gone at the end."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

DEADLINE = 30.0
"""Seconds that a test waits for something that should come at once, on a busy machine too."""


class RunningProcess:
    """A command in a process group of its own. Standard output and error are read together, line by line."""

    def __init__(self, command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.command = command
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return self._process.poll()

    @property
    def output(self) -> str:
        with self._changed:
            return "\n".join(self.lines)

    @property
    def report(self) -> str:
        """The command and all that it has said."""
        return f"$ {' '.join(self.command)}\n{self.output}"

    def wait_for_line(self, pattern: str, *, timeout: float = DEADLINE, count: int = 1) -> str:
        """Return the `count`-th line in which `pattern` (a regular expression) is found, past lines included.

        :raises AssertionError: with the whole output, if it has not come after `timeout` seconds or the process ended.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [line for line in self.lines if re.search(pattern, line)]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = "the process ended" if self._ended else f"{timeout:g} s have passed"
                    raise AssertionError(f"no line with {pattern!r}: {why}\n" + self.report)
                self._changed.wait(left)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for the end and return the return code.

        :raises AssertionError: with the whole output, if it still runs after `timeout` seconds.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s\n" + self.report) from None
        self._reader.join(1)
        return code

    def stop(self, timeout: float = DEADLINE) -> int:
        """Ask it to end (SIGTERM) and return the return code; same errors as `wait`."""
        if self.returncode is None:
            self.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill_group(self) -> None:
        """SIGKILL it and everything that it started in its group, and reap it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(1)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def running(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Iterator[RunningProcess]:
    """Run a command for the length of the block; afterwards nothing of its process group is left.

    `"python"` and `"taskiq"` mean those of the environment that the tests run in.
    """
    process = RunningProcess([*_resolve(str(command[0])), *map(str, command[1:])], cwd=cwd, env=env)
    try:
        yield process
    finally:
        process.kill_group()


def freeze(pid: int) -> None:
    """SIGSTOP, and return when every thread of it stands still, which takes a moment on another processor."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + DEADLINE
    while not all(state in "TZ" for state in _states(pid)):
        assert time.monotonic() < deadline, f"process {pid} does not stop"
        time.sleep(0.001)


def _states(pid: int) -> Iterator[str]:
    """The letter of each thread; none where there is no /proc."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            yield stat.read_text(errors="replace").rpartition(")")[2].split()[0]


def children_of(pid: int) -> list[int]:
    """The pids of the direct children of `pid`, in ascending order."""
    return sorted(child for child, parent in _parents() if parent == pid)


def _parents() -> Iterator[tuple[int, int]]:
    """(pid, parent's pid) of every process; from /proc where there is one, since small systems have no `ps`."""
    if Path("/proc/self/stat").exists():
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                yield int(stat.parent.name), int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    else:
        table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        for line in table.splitlines():
            child, parent = map(int, line.split())
            yield child, parent


def _resolve(program: str) -> list[str]:
    return {"python": [sys.executable], "taskiq": [str(Path(sys.executable).with_name("taskiq"))]}.get(program, [program])
