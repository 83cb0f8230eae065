"""A server of its own for a measurement: a free port of this machine. Needs nothing but the standard library."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LOOPBACK = "127.0.0.1"
_PATIENCE = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    port: int
    pid: int

    @classmethod
    def named(cls, name: str) -> Self:
        """The one whose `name` a process was given."""
        port, pid = name.split(":")
        return cls(int(port), int(pid))

    @property
    def name(self) -> str:
        """For another process."""
        return f"{self.port}:{self.pid}"

    def cpu(self) -> float:
        """Seconds of CPU that it has used, with the processes that it has started."""
        return sum(map(_cpu, _tree(self.pid)))


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(answers: Callable[[], object], process: "subprocess.Popen[bytes]", patience: float = _PATIENCE) -> None:
    """Return when a server that was started answers.

    :raises OSError: what `answers` raises, if the server has ended or takes too long.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            answers()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _tree(pid: int) -> list[int]:
    with suppress(OSError):  # it has just ended
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(found for child in below for found in _tree(int(child)))]
    return []


def _cpu(pid: int) -> float:
    """Of a process, and of its children that have ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS
    return 0.0
