"""`python -m benchmarks.limits`: how well limits are kept by four worker processes on one Redis server.

A backlog is sent before the workers start, so that there is always somebody who waits. What is counted is what the tasks
themselves have written down, each by the clock of the machine in its first line.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from benchmarks.redis_server import redis_server
from taskiq_core import Call, broker_from_url, call

_ROOT = Path(__file__).parents[1]
URL, LEDGER = "TASKIQ_BENCHMARK_URL", "TASKIQ_BENCHMARK_LEDGER"
"""Variables that tell the workers of their server, and of the file to write to."""
_SECONDS = 20
_RATE = 100

Event = tuple[int, int, int]
"""Nanoseconds, process, 1 for a start and -1 for an end."""


def main() -> None:
    """Print both accounts."""
    events = _run("paced", [call()] * (_RATE * _SECONDS * 2), _lasted(_SECONDS + 1))
    starts = sorted(at / 1e9 for at, _, _ in events)
    within = [at - starts[0] for at in starts if at - starts[0] < _SECONDS]
    spans = [later - start for start, later in zip(starts, starts[_RATE:], strict=False)]
    processes = len({pid for _, pid, _ in events})
    print(f"Rate({_RATE}), {processes} processes: {len(within) / _SECONDS:.2f} starts per second over {_SECONDS} s")
    print(f"  most in any second: {_most_in(starts, 1.0)}; {_RATE} starts and one more took {min(spans):.4f} s or longer")
    print(f"  by second: {[sum(second <= at < second + 1 for at in within) for second in range(_SECONDS)]}")
    count, length = 1000, 0.1
    events = _run("few", [call(length)] * count, lambda events: sum(step < 0 for _, _, step in events) == count)
    running = most = 0
    for _, _, step in sorted(events):
        running += step
        most = max(most, running)
    lasted = (max(events)[0] - min(events)[0]) / 1e9
    processes = len({pid for _, pid, _ in events})
    print(f"Concurrency(10), {processes} processes: {most} at once at most; {count} tasks of {length} s took {lasted:.1f} s")


def _lasted(seconds: float) -> Callable[[Sequence[Event]], bool]:
    return lambda events: bool(events) and time.time() - min(events)[0] / 1e9 > seconds


def _most_in(starts: list[float], window: float) -> int:
    most = first = 0
    for place, at in enumerate(starts):
        while starts[first] <= at - window:
            first += 1
        most = max(most, place - first + 1)
    return most


def _run(name: str, calls: Sequence[Call], is_over: Callable[[Sequence[Event]], bool]) -> list[Event]:
    """Send, start four processes, and stop them when `is_over` says so."""
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-") as folder, redis_server() as server:
        ledger = Path(folder) / "ledger"
        os.environ |= {URL: server.url, LEDGER: str(ledger)}

        async def send() -> None:
            async with broker_from_url(server.url) as broker:
                await broker.kicker(name).kiq_many(calls)

        anyio.run(send)
        command = [sys.executable, "-m", "taskiq_core", "worker", "benchmarks.limits_app:broker", "--processes", "4"]
        with subprocess.Popen([*command, "--log-level", "warning"], cwd=_ROOT) as workers:
            try:
                while not is_over(events := _read(ledger)):
                    time.sleep(0.5)
            finally:
                workers.terminate()
        return events


def _read(ledger: Path) -> list[Event]:
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [(int(at), int(pid), int(step)) for at, pid, step in map(str.split, lines)]


if __name__ == "__main__":
    main()
