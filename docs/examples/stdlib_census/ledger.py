"""A witness outside the framework: a file to which every run of the task appends a line when it begins and when it ends."""

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@contextmanager
def record_run(ledger: Path, path: str) -> Iterator[None]:
    """Write down that this process begins to count `path`, and that it has done so."""
    _append(ledger, f"begin {os.getpid()} {path}\n")
    yield
    _append(ledger, f"end {os.getpid()} {path}\n")


def _append(ledger: Path, line: str) -> None:
    # One write with O_APPEND: lines of several processes do not mix, and SIGKILL cannot tear one.
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


@dataclass
class Account:
    """What the ledger says: for every module, the pids that began to count it, and those that ended."""

    begun: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, ledger: Path) -> "Account":
        """The account so far; an empty one if nothing has begun yet."""
        account = cls()
        for line in ledger.read_text().splitlines() if ledger.exists() else ():
            what, pid, path = line.split(" ", 2)
            (account.begun if what == "begin" else account.ended)[path].append(int(pid))
        return account

    def at_work(self) -> list[int]:
        """The pids that have begun a module and not ended it."""
        return [pid for path, pids in self.begun.items() for pid in pids if pid not in self.ended.get(path, ())]

    def repeated(self) -> list[str]:
        """The modules that were begun more than once."""
        return [path for path, pids in self.begun.items() if len(pids) > 1]
