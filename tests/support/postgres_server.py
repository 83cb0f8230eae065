"""A real PostgreSQL server, private to a test."""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
from support.processes import children_of, freeze
from support.server_process import ServerProcess, ending_with_us
from support.server_programs import POSTGRES
from support.tcp_ports import LOOPBACK

_ACCOUNTS = ("postgres", "nobody")
"""Who runs the server where the tests run as root, which it refuses."""


class PostgresServer(ServerProcess):
    """`config` are lines such as `"fsync = on"`. Unless they say so, it wants no password and forces nothing to disk."""

    program = POSTGRES
    url_variable = "TASKIQ_TEST_POSTGRES_URL"
    _ready = "database system is ready to accept connections"
    _port_taken = "Address already in use"
    _stop_signal = signal.SIGINT
    """Which ends its connections too ("fast")."""

    def __init__(self, *config: str) -> None:
        super().__init__(*config)
        self._data = self.folder / "data"

    def url_at(self, port: int) -> str:
        """`postgresql://`, of the database `postgres`."""
        return f"postgresql://taskiq@{LOOPBACK}:{port}/postgres"

    def pause(self) -> None:
        """SIGSTOP for all of its processes: the kernel keeps its connections, but nobody answers."""
        super().pause()
        for pid in children_of(self.process.pid):
            with suppress(ProcessLookupError):
                freeze(pid)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal_all(signal.SIGCONT)
        super().resume()

    def _end(self) -> None:
        self._signal_all(signal.SIGSTOP)  # nobody is born or tidies up meanwhile
        self._signal_all(signal.SIGKILL)
        super()._end()

    def _signal_all(self, number: int) -> None:
        """The first process and those that serve connections, each of which has a group of its own."""
        if self.process.returncode is None:
            for pid in (self.process.pid, *children_of(self.process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _prepare(self) -> None:
        if self._data.exists():
            return  # made for another port, which it does not know
        _hand_over(self.folder)
        _run("cp", "-a", str(_template(self._binary)), str(self._data))
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(self._configuration())

    def _defaults(self) -> list[str]:
        return [
            f"listen_addresses = '{LOOPBACK}'",
            "unix_socket_directories = ''",
            "max_connections = 200",
            "shared_buffers = 128MB",
            "fsync = off",
            "full_page_writes = off",
            "logging_collector = off",
        ]

    def _command(self) -> list[str]:
        return [
            *ending_with_us(*_as_account()),
            str(self._binary.with_name("postgres")),
            "-D",
            str(self._data),
            "-p",
            str(self.port),
        ]


@cache
def _template(binary: Path) -> Path:
    """An empty data directory, which this process copies: to make one takes ten times as long."""
    folder = Path(tempfile.mkdtemp(prefix="taskiq-postgres-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _hand_over(folder)
    settings = ("--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--username=taskiq", "--auth=trust")
    data = folder / "data"
    _run(*ending_with_us(*_as_account()), str(binary.with_name("initdb")), "-D", str(data), *settings, cwd=folder)
    return data


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"


def _hand_over(folder: Path) -> None:
    """To whom the server runs as, with what is in it, such as a certificate that a test has put there."""
    if account := _account():
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)


def _as_account() -> tuple[str, ...]:
    """Options of `setpriv`."""
    account = _account()
    if os.geteuid() == 0 and (account is None or not shutil.which("setpriv")):
        pytest.skip("needs a server: PostgreSQL does not run as root, and there is no other account or no setpriv")
    return (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups") if account else ()


@cache
def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((known[name] for name in _ACCOUNTS if name in known), None)
