"""Worker processes as a user starts them, and what the operating system says of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clock import Time
from benchmarks.tasks import Tasks, add_tasks
from taskiq_core import AsyncBroker, broker_from_url

_ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 300.0

APP = "benchmarks.worker_app:broker"
"""What `taskiq worker` is told to run."""
URL, REPORT = "TASKIQ_BENCHMARK_URL", "TASKIQ_BENCHMARK_REPORT"
"""Variables that tell it of its store, and of the file for its report."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a worker process did until its queues were empty."""

    tasks: int
    time: Time
    laps: Sequence[tuple[int, float]]

    def rate(self, first: int, last: int) -> float:
        """Tasks per second between two of them."""
        begin, end = (next(lap for lap in self.laps if lap[0] >= count) for count in (first, last))
        return (end[0] - begin[0]) / (end[1] - begin[1])


def broker_at(place: str) -> AsyncBroker:
    """The broker of a URL, or of two with a space between them: then the second is where results go."""
    url, _, results = place.partition(" ")
    return broker_from_url(url, results=results or True)


class Arena:
    """A store of its own, clients of it, and workers."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.folder = folder
        self._report = folder / "report.json"
        self._log = folder / "worker.log"

    def client(self) -> tuple[AsyncBroker, Tasks]:
        """A broker that is not started yet, and the tasks that the workers know."""
        broker = broker_at(self.url)
        return broker, add_tasks(broker)

    def drain(self, loop: str = "asyncio") -> Drained:
        """Have one worker process work until the queue is empty."""
        with self._worker("--burst", "--loop", loop) as process:
            code = process.wait(_PATIENCE)
        if code:
            raise ChildProcessError(f"the worker ended with code {code}:\n{self._log.read_text()}")
        report = json.loads(self._report.read_text())
        return Drained(report["tasks"], Time(*report["time"]), report["laps"])

    @contextmanager
    def worker(self, loop: str = "asyncio") -> Generator["subprocess.Popen[bytes]"]:
        """A supervised worker process for the length of the block."""
        with self._worker("--loop", loop) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(_PATIENCE)

    @contextmanager
    def _worker(self, *options: str) -> Generator["subprocess.Popen[bytes]"]:
        command = [sys.executable, "-m", "taskiq_core", "worker", APP, "--log-level", "warning"]
        variables = {URL: self.url, REPORT: str(self._report)}
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


NewArena = Callable[[], AbstractContextManager[Arena]]


@contextmanager
def sqlite_arena() -> Generator[Arena]:
    """An arena on a new file, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-") as name:
        yield Arena(Path(name), f"sqlite:///{Path(name) / 'jobs.db'}")


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
