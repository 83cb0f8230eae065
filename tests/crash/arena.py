"""Where crash tests take place: a directory, worker processes, a client, and the ledger that tells what really happened."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
from crash_stores import Store
from support.processes import RunningProcess, running

from taskiq_core import AsyncBroker, BrokerMessage, DeadLetter, TaskiqResult, broker_from_url, call, gather
from taskiq_core.abc.queue_admin import QueueDepth

PATIENCE = 25.0
"""Seconds within which everything that should happen has happened, on a busy machine too."""
LEASE = 2.0
GRACE = 3.0

Row = tuple[float, int]
"""When, and in which process."""

AnyStore = TypeVar("AnyStore", bound=Store)


@dataclass
class Ledger:
    """What the tasks themselves have written down: for every key, when and where it began and ended."""

    starts: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        ledger = cls()
        whole, _, _ = path.read_text().rpartition("\n") if path.exists() else ("", "", "")  # the last line may be half written
        for line in whole.splitlines():
            at, pid, event, key = line.split(" ", 3)
            (ledger.starts if event == "start" else ledger.ends)[key].append((float(at), int(pid)))
        return ledger

    def lost(self, keys: Sequence[str]) -> list[str]:
        return [key for key in keys if not self.ends.get(key)]

    def doubled(self) -> dict[str, list[Row]]:
        return {key: rows for key, rows in self.starts.items() if len(rows) > 1}

    def pids(self, key: str) -> list[int]:
        return [pid for _, pid in self.starts.get(key, ())]

    def hold(self, keys: Sequence[str], *, killed: int | None = None) -> None:
        """All ran to their end, and only what was in the hands of a killed process began twice."""
        assert self.lost(keys) == []
        for key, rows in self.doubled().items():
            assert len(rows) == 2, (key, rows)
            assert killed in [pid for _, pid in rows], (key, rows, killed)


class Arena(Generic[AnyStore]):
    """One test's place."""

    def __init__(self, path: Path, store: AnyStore) -> None:
        self.path = path
        self.store = store
        self.lease = LEASE
        self.extra: dict[str, str] = {}
        self.processes: list[RunningProcess] = []

    # -- processes ------------------------------------------------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        return {
            "CRASH_ARENA": str(self.path),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH")))),
            "TMPDIR": str(self.path),
            **self._places(self.store.url, self.store.results_url),
            **self.extra,
        }

    def _places(self, url: str, results_url: str) -> dict[str, str]:
        return {"CRASH_BROKER": f"{url}?{self.store.lease_option}={self.lease}", "CRASH_RESULTS": results_url}

    @contextmanager
    def worker(
        self, *arguments: str, grace: float = GRACE, app: str = "crash_app:broker", calm: bool = False
    ) -> Iterator[RunningProcess]:
        """`taskiq worker`; leaving asks it to stop and waits for that. No trouble of the test's can reach a calm one."""
        env = self.env | (self._places(self.store.calm_url, self.store.calm_results_url) if calm else {})
        with running("taskiq", "worker", app, "--grace", str(grace), *arguments, cwd=self.path, env=env) as process:
            self.processes.append(process)
            yield process
            if process.returncode is None:
                process.stop(grace + 15)

    @contextmanager
    def script(self, code: str) -> Iterator[RunningProcess]:
        """A Python program of the test's own, which may `import crash_app`."""
        with running("python", "-c", code, cwd=self.path, env=self.env) as process:
            self.processes.append(process)
            yield process

    @property
    def killed(self) -> int | None:
        """The pid of the process that killed itself at CRASH_AT."""
        marker = self.path / "killed"
        text = marker.read_text() if marker.exists() else ""
        return int(text) if text else None

    def survivors(self) -> list[int]:
        """Every process that this arena has started, directly or not, and that lives."""
        mark = f"CRASH_ARENA={self.path}\0".encode()
        found: list[int] = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in environ.read_bytes() + b"\0":
                    found.append(int(environ.parent.name))
        return found

    def reap(self) -> None:
        """Kill whatever a test has left behind, and show what was said, for the report of a test that failed."""
        for process in self.processes:
            print(f"--- {' '.join(process.command)[:200]}: {process.returncode}\n{process.output[-8000:]}")
        for pid in self.survivors():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- the ledger -----------------------------------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        return Ledger.read(self.path / "ledger")

    def wait_ledger(self, ready: Callable[[Ledger], Any], what: str, timeout: float = PATIENCE) -> Ledger:
        """The ledger as soon as `ready(ledger)` is true."""
        return wait_until(lambda: found if ready(found := self.ledger()) else None, what, timeout)

    def wait_start(self, key: str, count: int = 1, timeout: float = PATIENCE) -> int:
        """The pid of the `count`-th process that began `key`."""
        found = self.wait_ledger(lambda ledger: len(ledger.starts[key]) >= count, f"start {count} of {key}", timeout)
        return found.pids(key)[count - 1]

    def wait_ends(self, keys: Sequence[str], timeout: float = PATIENCE) -> Ledger:
        return self.wait_ledger(lambda ledger: not ledger.lost(keys), f"the end of {len(keys)} tasks", timeout)

    # -- the client -----------------------------------------------------------------------------------------------------------

    def client(self, **options: Any) -> AsyncBroker:
        """One that no trouble of the test's own making can reach; with these options of its broker."""
        return broker_from_url(self.store.calm_url, results=self.store.calm_results_url, **options)

    def sender(self, **options: Any) -> AsyncBroker:
        """One that has the workers' trouble."""
        return broker_from_url(self.store.url, results=self.store.results_url, **options)

    def send(self, name: str, *arguments: tuple[Any, ...]) -> list[str]:
        """Send one task for each tuple of arguments; returns the ids."""

        async def send() -> list[str]:
            async with self.client() as broker:
                handles = await broker.kicker(name).kiq_many([call(*values) for values in arguments])
                return [handle.task_id for handle in handles]

        return anyio.run(send)

    def put(self, *bodies: bytes) -> None:
        """Put bytes on the queue that no client of ours would send."""

        async def put() -> None:
            async with self.client() as broker:
                await broker.kick_many([BrokerMessage(f"raw-{n}", "raw", body) for n, body in enumerate(bodies)])

        anyio.run(put)

    def results(self, ids: Sequence[str], timeout: float = PATIENCE) -> list[TaskiqResult[Any]]:
        async def wait() -> list[TaskiqResult[Any]]:
            async with self.client() as broker:
                return list(await gather(*map(broker.handle, ids), timeout=timeout))

        return anyio.run(wait)

    def depth(self) -> QueueDepth:
        async def ask() -> QueueDepth:
            async with self.client() as broker:
                assert broker.admin is not None
                return await broker.admin.depth("default")

        return anyio.run(ask)

    def wait_empty(self, timeout: float = PATIENCE) -> None:
        """Until nothing is queued, delayed or in a worker's hands, and no trace is left of what was."""
        wait_until(lambda: self.depth() == QueueDepth(), "an empty queue", timeout, pause=0.1)
        if self.store.leftovers():
            wait_until(lambda: not self.store.leftovers(), "nothing left over", timeout, pause=0.1)

    def dead_letters(self) -> list[DeadLetter]:
        async def ask() -> list[DeadLetter]:
            async with self.client() as broker:
                assert broker.admin is not None
                return list(await broker.admin.dead_letters())

        return anyio.run(ask)

    def wait_dead_letters(self, count: int, timeout: float = PATIENCE) -> list[DeadLetter]:
        return wait_until(
            lambda: found if len(found := self.dead_letters()) >= count else None, f"{count} dead letters", timeout, pause=0.1
        )


def wait_until(check: Callable[[], Any], what: str, timeout: float = PATIENCE, pause: float = 0.02) -> Any:
    """What `check` returns, as soon as that is true.

    :raises AssertionError: if it is not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (found := check()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(pause)
    return found


def is_alive(pid: int) -> bool:
    """False for a zombie too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def resident(pid: int) -> int:
    """Bytes of memory that a process really uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
