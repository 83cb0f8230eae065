"""Where the queues and results of a crash test are: in files, or on Redis servers behind proxies."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from redis import Redis
from support.redis_server import RedisServer
from support.tcp_ports import LOOPBACK
from support.tcp_proxy import TcpProxy


class Store(Protocol):
    """The place of one test's queues, and that of its results."""

    url: str
    """Of the queues, for the workers and for senders that share their trouble."""
    results_url: str
    """Of the results. At first the same place, so that a result and its acknowledgement are one step."""
    calm_url: str
    """Of the queues, for the test itself: past every trouble that the test makes on the way."""
    calm_results_url: str

    def part(self) -> None:
        """Have results in another place than queues; before the first worker or client."""
        ...

    def leftovers(self) -> list[str]:
        """What is still there of tasks that have ended, apart from results and dead letters."""
        ...

    def largest_result(self) -> int:
        """Bytes."""
        ...

    def close(self) -> None: ...


class SQLiteStore:
    """A file, or two."""

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


class RedisStore:
    """A server that loses nothing it has answered for, or two, each with a proxy in front of it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.server, self.proxy = self.results_server, self.results_proxy = self._start()

    def part(self) -> None:
        self.results_server, self.results_proxy = self._start()

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.proxy.port}/0"

    @property
    def results_url(self) -> str:
        return f"redis://{LOOPBACK}:{self.results_proxy.port}/0"

    @property
    def calm_url(self) -> str:
        return self.server.url

    @property
    def calm_results_url(self) -> str:
        return self.results_server.url

    def client(self) -> Redis:
        return self.server.client()

    def leftovers(self) -> list[str]:
        with self.client() as client:
            found = [f"{key}: {size}" for key in self.streams(client) if (size := client.xlen(key))]
            if size := client.hlen("{taskiq}:ids"):
                found.append(f"ids: {size}")
            for kind, count in (("due", client.zcard), ("later", client.hlen)):
                found += [f"{key}: {size}" for key in client.scan_iter("{taskiq}:q:*:" + kind) if (size := count(key))]
            return found

    def streams(self, client: Redis) -> list[str]:
        """The names of the keys that hold messages."""
        return [key for key in client.scan_iter("{taskiq}:q:*", _type="stream") if not key.endswith(":nudge")]

    def deaths(self) -> list[int]:
        """Of each message that was delivered at least twice and is not done with."""
        with self.client() as client:
            keys = client.scan_iter("{taskiq}:q:*:back")
            script = "return redis.call('XRANGE', KEYS[1], '-', '+')[1][2][6]"  # not all of it, as a body is no text
            return [int(str(client.eval(script, 1, key)).split()[1]) for key in keys if client.xlen(key)]

    def largest_result(self) -> int:
        with self.results_server.client() as client:
            return max(client.strlen(key) for key in client.scan_iter("{taskiq}:result:*"))

    def close(self) -> None:
        self._stack.close()

    def _start(self) -> tuple[RedisServer, TcpProxy]:
        server = self._stack.enter_context(RedisServer("appendonly yes", "appendfsync always"))
        return server, self._stack.enter_context(TcpProxy(server.port))


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
