"""The story: workers start, every module is sent, one worker is killed half-way, and nothing is missing at the end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio

from stdlib_census.app import DATABASE, FOLDER, LEDGER, broker, count_module
from stdlib_census.census import STDLIB, ModuleCensus, find_modules
from stdlib_census.ledger import Account
from stdlib_census.report import ProgressBar, print_census, print_proof
from taskiq_core import call, gather

WORKER_LOG = FOLDER / "worker.log"
PATIENCE = 90.0
"""Seconds for the whole census."""


def main() -> int:
    """Take the census of the standard library. Returns 0 if nothing is missing."""
    modules = find_modules(STDLIB)
    FOLDER.mkdir(exist_ok=True)
    for old in (*FOLDER.glob(f"{DATABASE.name}*"), LEDGER, WORKER_LOG):
        old.unlink(missing_ok=True)
    print(f"{len(modules):,} modules in {STDLIB}; two worker processes on {DATABASE}")
    with workers() as supervisor:
        begun = time.monotonic()
        try:
            results, killed = anyio.run(count_all, modules, supervisor)
        except ExceptionGroup as trouble:
            print(f"\n{trouble.exceptions}\nThe end of {WORKER_LOG}:\n{_tail(WORKER_LOG)}", file=sys.stderr)
            return 1
        seconds = time.monotonic() - begun
    print_census(results, STDLIB, seconds)
    return 0 if print_proof(modules, results, Account.read(LEDGER), killed) else 1


@contextmanager
def workers() -> Iterator["subprocess.Popen[bytes]"]:
    """Two supervised worker processes for the length of the block, asked to stop at the end as an operator would."""
    taskiq = Path(sys.executable).with_name("taskiq")
    command = [str(taskiq), "worker", "stdlib_census.app:broker", "--processes", "2", "--concurrency", "2"]
    with WORKER_LOG.open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as supervisor:  # noqa: S603
        try:
            yield supervisor
        finally:
            supervisor.terminate()


async def count_all(modules: list[str], supervisor: "subprocess.Popen[bytes]") -> tuple[list[ModuleCensus], int]:
    """Send one task for each module and gather all results, while the watcher kills a worker; also returns whom."""
    watcher = Watcher(len(modules), supervisor)
    async with broker, anyio.create_task_group() as group:
        handles = await count_module.kiq_many([call(path) for path in modules])
        group.start_soon(watcher.run)
        results = await gather(*handles, timeout=PATIENCE)
    return [result.raise_for_error().return_value for result in results], watcher.killed


class Watcher:
    """Draws the bar, and half-way kills the worker process that is at work on a module."""

    def __init__(self, total: int, supervisor: "subprocess.Popen[bytes]") -> None:
        self.killed = 0
        self._total = total
        self._supervisor = supervisor
        self._bar = ProgressBar(total)

    async def run(self) -> None:
        """Watch until every module has been counted.

        :raises ChildProcessError: if the supervisor of the workers ends before.
        """
        done = 0
        while done < self._total:
            await anyio.sleep(0.1)
            account = Account.read(LEDGER)
            done = len(account.ended)
            if not self.killed and done >= self._total / 2 and (at_work := account.at_work()):
                self.killed = at_work[0]
                os.kill(self.killed, signal.SIGKILL)
                self._bar.say(f"Worker process {self.killed} killed with SIGKILL in the middle of a module.")
            self._bar.draw(done)
            if self._supervisor.poll() is not None:
                msg = f"the workers ended with code {self._supervisor.returncode}"
                raise ChildProcessError(msg)
        self._bar.finish()


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
