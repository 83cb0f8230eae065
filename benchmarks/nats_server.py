"""A NATS server of its own for a measurement: a free port of this machine, JetStream in a folder that is removed afterwards."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

from benchmarks.server import LOOPBACK, Server, free_port, wait_until

_PATIENCE = 10.0


class NatsServer(Server):
    """One that runs."""

    @property
    def url(self) -> str:
        """For clients."""
        return f"nats://{LOOPBACK}:{self.port}"

    def greet(self) -> None:
        """Return when it has said who it is.

        :raises OSError: if it does not answer.
        """
        with socket.create_connection((LOOPBACK, self.port), timeout=_PATIENCE) as link:
            if not link.recv(5) == b"INFO ":
                raise ConnectionError("this is no NATS server")


@contextmanager
def nats_server() -> Generator[NatsServer]:
    """Start one for the length of the block."""
    program = shutil.which("nats-server")
    if program is None:
        raise FileNotFoundError("The benchmarks on NATS need nats-server on the PATH.")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-nats-") as folder:
        settings = ("--addr", LOOPBACK, "--port", str(port), "--jetstream", "--store_dir", folder)
        process = subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            server = NatsServer(port, process.pid)
            wait_until(server.greet, process)
            yield server
        finally:
            process.terminate()
            process.wait(_PATIENCE)
