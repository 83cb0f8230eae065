"""A PostgreSQL server of its own for a measurement: a free port of this machine, nothing forced to disk."""

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.server import LOOPBACK, Server, free_port, wait_until

_PATIENCE = 30.0
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 256MB
max_wal_size = 4GB
fsync = off
full_page_writes = off
"""


class PostgresServer(Server):
    """One that runs."""

    @property
    def url(self) -> str:
        """Its database `postgres`."""
        return f"postgresql://bench@{LOOPBACK}:{self.port}/postgres"


@contextmanager
def postgres_server(*settings: str) -> Generator[PostgresServer]:
    """Start one for the length of the block; `settings` are lines of postgresql.conf that win over ours."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="taskiq-bench-postgres-") as name:
        data, log = Path(name) / "data", Path(name) / "log"
        _hand_over(name)
        subprocess.run(["cp", "-a", _template(), data], check=True)
        with (data / "postgresql.conf").open("a") as file:
            file.write("\n".join([_SETTINGS, *settings]) + "\n")
        with log.open("wb") as said:
            command = [*_as_account(), str(_program("postgres")), "-D", str(data), "-p", str(port)]
            process = subprocess.Popen(command, cwd=name, stdout=said, stderr=said)
        try:
            wait_until(lambda: _answers(port), process)
            yield PostgresServer(port, process.pid)
        finally:
            process.kill()
            process.wait(_PATIENCE)


def _answers(port: int) -> None:
    """A server that is starting says so, and closes the connection.

    :raises OSError: until it takes clients.
    """
    with socket.create_connection((LOOPBACK, port), timeout=_PATIENCE) as link:
        parameters = b"user\0bench\0database\0postgres\0\0"
        link.sendall((8 + len(parameters)).to_bytes(4) + (3 << 16).to_bytes(4) + parameters)
        if link.recv(1) != b"R":
            raise ConnectionRefusedError(port)


@cache
def _template() -> Path:
    """An empty data directory, which this process copies: to make one takes ten times as long."""
    name = tempfile.mkdtemp(prefix="taskiq-bench-postgres-template-")
    atexit.register(shutil.rmtree, name, ignore_errors=True)
    _hand_over(name)
    data = Path(name) / "data"
    options = ("--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--username=bench", "--auth=trust")
    command = [*_as_account(), str(_program("initdb")), "-D", str(data), *options]
    subprocess.run(command, cwd=name, check=True, stdout=subprocess.DEVNULL)
    return data


def _hand_over(folder: str) -> None:
    """To whom the server runs as."""
    if account := _account():
        os.chown(folder, account.pw_uid, account.pw_gid)


def _as_account() -> list[str]:
    account = _account()
    return [] if account is None else ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]


def _account() -> pwd.struct_passwd | None:
    """Who runs the server where we are root, which it refuses."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _program(name: str) -> Path:
    if found := shutil.which(name):
        return Path(found)
    for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True):
        if (place / name).exists():
            return place / name
    raise FileNotFoundError("The benchmarks on PostgreSQL need its initdb and postgres.")
