"""A Redis server of its own for a measurement: a free port of this machine, nothing written to disk."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

from benchmarks.server import LOOPBACK, Server, free_port, wait_until

_PATIENCE = 10.0


class RedisServer(Server):
    """One that runs."""

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def times(self) -> dict[str, int]:
        """Microseconds spent in each command so far, by the server's clock."""
        stats = self._info("commandstats")
        return {name.removeprefix("cmdstat_"): int(text.split(",")[1].removeprefix("usec=")) for name, text in stats.items()}

    def command(self, *words: str) -> bytes:
        """The answer to one command: a line, a number or a string."""
        request = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words))
        with socket.create_connection((LOOPBACK, self.port), timeout=_PATIENCE) as link, link.makefile("rb") as answers:
            link.sendall(b"*%d\r\n%s" % (len(words), request))
            head: bytes = answers.readline().rstrip()
            if head.startswith(b"-"):
                raise RuntimeError(head.decode())
            return answers.read(int(head[1:])) if head.startswith(b"$") else head[1:]

    def _info(self, section: str) -> dict[str, str]:
        lines = self.command("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


@contextmanager
def redis_server(*options: str) -> Generator[RedisServer]:
    """Start one for the length of the block; `options` are like `--appendonly yes`."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        raise FileNotFoundError("The benchmarks on Redis need redis-server or valkey-server on the PATH.")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-redis-") as folder:
        settings = ("--port", str(port), "--bind", LOOPBACK, "--dir", folder, "--save", "", "--appendonly", "no")
        process = subprocess.Popen([program, *settings, *options], stdout=subprocess.DEVNULL)
        try:
            server = RedisServer(port, process.pid)
            wait_until(lambda: server.command("PING"), process)
            yield server
        finally:
            process.terminate()
            process.wait(_PATIENCE)
