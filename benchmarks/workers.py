"""Worker processes as a user starts them, and what the operating system says of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clock import Time
from taskiq_core import AsyncBroker, AsyncTaskiqDecoratedTask, broker_from_url

_ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 300.0


class Arena:
    """A database of its own, a client of it, and workers."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'jobs.db'}"
        self._report = folder / "report.json"
        self._log = folder / "worker.log"

    def client(self) -> tuple[AsyncBroker, AsyncTaskiqDecoratedTask[[], None]]:
        """A broker that is not started yet, and the task that the workers know."""
        broker = broker_from_url(self.url)

        @broker.task("noop")
        async def noop() -> None: ...

        return broker, noop

    def drain(self, loop: str) -> tuple[int, Time]:
        """Have one worker process work until the queue is empty; returns how many tasks it ran, and in what time."""
        with self._worker("--burst", "--loop", loop) as process:
            code = process.wait(_PATIENCE)
        if code:
            raise ChildProcessError(f"the worker ended with code {code}:\n{self._log.read_text()}")
        tasks, wall, cpu = json.loads(self._report.read_text())
        return tasks, Time(wall, cpu)

    @contextmanager
    def worker(self) -> Generator["subprocess.Popen[bytes]"]:
        """A supervised worker process for the length of the block."""
        with self._worker() as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(_PATIENCE)

    @contextmanager
    def _worker(self, *options: str) -> Generator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "taskiq_core", "worker", "benchmarks.sqlite_app:broker", "--log-level", "warning"]
        variables = {"TASKIQ_BENCHMARK_URL": self.url, "TASKIQ_BENCHMARK_REPORT": str(self._report)}
        with (
            self._log.open("wb") as log,
            subprocess.Popen(
                [*command, *options], cwd=_ROOT, env={**os.environ, **variables}, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield process
            except BaseException:
                process.kill()
                raise


@contextmanager
def arena() -> Generator[Arena]:
    """An arena in a new directory, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-") as name:
        yield Arena(Path(name))


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    below = (Path(f"/proc/{pid}/task/{pid}/children").read_text()).split()
    return [pid, *(found for child in below for found in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> tuple[float, float]:
    """What a process holds in memory now, and the most that it ever held, in megabytes."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, most = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most
