"""Where the queues and results of a crash test are: what all kinds of places have in common, and files."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """The place of one test's queues, and that of its results."""

    url: str
    """Of the queues, for the workers and for senders that share their trouble."""
    results_url: str
    """Of the results. At first the same place, so that a result and its acknowledgement are one step."""
    calm_url: str
    """Of the queues, for the test itself: past every trouble that the test makes on the way."""
    calm_results_url: str
    lease_option: str
    """What the URL of the queues calls the seconds after which a holder that is not heard of is taken for lost."""
    buries: bool
    """Whether the broker can be told what a dead worker held, and what of it was on a CPU; else leases or connections end."""

    def part(self) -> None:
        """Have results in another place than queues; before the first worker or client."""
        ...

    def leftovers(self) -> list[str]:
        """What is still there of tasks that have ended, apart from results and dead letters."""
        ...

    def close(self) -> None: ...


class SQLiteStore:
    """A file, or two."""

    lease_option = "lease"
    buries = True

    def __init__(self, folder: Path) -> None:
        self.move_to(folder / "jobs.db")

    def move_to(self, db: Path) -> None:
        self.db = self.results_db = db

    def part(self) -> None:
        self.results_db = self.db.with_name("results.db")

    @property
    def url(self) -> str:
        return f"sqlite:///{self.db}"

    @property
    def results_url(self) -> str:
        return f"sqlite:///{self.results_db}"

    calm_url, calm_results_url = url, results_url

    def leftovers(self) -> list[str]:
        with self._open(self.db) as conn:
            return [f"{count} messages" for (count,) in conn.execute("SELECT count(*) FROM taskiq_messages") if count]

    def largest_result(self) -> int:
        with self._open(self.results_db) as conn:
            return int(conn.execute("SELECT max(length(body)) FROM taskiq_results").fetchone()[0])

    def close(self) -> None:
        return

    @contextmanager
    def _open(self, path: Path) -> Iterator[sqlite3.Connection]:
        conn = sqlite3.connect(path, timeout=10)
        try:
            yield conn
        finally:
            conn.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a database for the length of the block."""
    conn = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield
        conn.execute("ROLLBACK")
    finally:
        conn.close()


@contextmanager
def locked_for(path: Path, seconds: float) -> Iterator[None]:
    """Hold the write lock for so many seconds, counted from the beginning of the block; the end waits for it."""
    ready, begun = threading.Event(), time.monotonic()

    def hold() -> None:
        with locked(path):
            ready.set()
            time.sleep(max(0.0, begun + seconds - time.monotonic()))

    holder = threading.Thread(target=hold)
    holder.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        holder.join()
