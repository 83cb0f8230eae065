"""A real PostgreSQL server, private to a test: to configure, kill, pause and restart."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from support.processes import RunningProcess, children_of, freeze
from support.server_programs import POSTGRES
from support.tcp_ports import LOOPBACK, free_port

_ATTEMPTS = 5
_ACCOUNTS = ("postgres", "nobody")
"""Who runs the server where the tests run as root, which it refuses."""

# A server dies with the thread that started it (see `_command`), so all are started by one that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="postgres-starter")


class PostgresServer:
    """A server with a directory of its own on a free loopback port; as a context manager it runs for the block.

    `config` are lines of postgresql.conf, for example `"fsync = on"`; they come last, so they win over the defaults here:
    loopback only, no password, nothing forced to disk. It ends with this process, however that ends. All calls block.
    """

    def __init__(self, *config: str) -> None:
        self._binaries = binaries()
        self.config = config
        self.folder = Path(tempfile.mkdtemp(prefix="taskiq-postgres-"))
        self.port = free_port()
        self._process: RunningProcess | None = None
        self._was_ready = False

    @property
    def url(self) -> str:
        """Of the database `postgres`."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The same by way of another port, such as that of a proxy."""
        return f"postgresql://taskiq@{LOOPBACK}:{port}/postgres"

    @property
    def process(self) -> RunningProcess:
        """The process that runs or ran last; its lines are the server's log."""
        assert self._process is not None, "not started yet"
        return self._process

    def start(self) -> Self:
        """Start it on what its directory has, and wait until it answers.

        :raises AssertionError: with its log, if it ends or does not get ready in time.
        """
        if not self._was_ready:
            self._make_cluster()
        for _ in range(_ATTEMPTS):
            command = self._command("postgres", "-D", str(self._data), "-p", str(self.port))
            self._process = _starter.submit(RunningProcess, command, cwd=self.folder).result()
            try:
                self._process.wait_for_line("database system is ready to accept connections")
            except AssertionError:
                self.kill()
                if self._was_ready or "Address already in use" not in self._process.output:
                    raise
                self.port = free_port()
            else:
                self._was_ready = True
                return self
        raise AssertionError(f"{_ATTEMPTS} ports tried, all taken\n" + self.process.report)

    def stop(self) -> None:
        """Ask it to end its connections and itself (SIGINT, "fast"), and wait for that."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def kill(self) -> None:
        """SIGKILL for all of its processes, also if it is paused or has ended already."""
        self._signal_all(signal.SIGSTOP)  # nobody is born or tidies up meanwhile
        self._signal_all(signal.SIGKILL)
        self.process.kill_group()

    def restart(self) -> Self:
        """Start again on the same port and directory; SIGKILL first if it still runs."""
        self.kill()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP for all of its processes: the kernel keeps its connections, but nobody answers."""
        for pid in (self.process.pid, *children_of(self.process.pid)):
            with suppress(ProcessLookupError):
                freeze(pid)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its directory."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _signal_all(self, number: int) -> None:
        """The first process and those that serve connections, each of which has a group of its own."""
        if self.process.returncode is None:
            for pid in (self.process.pid, *children_of(self.process.pid)):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make_cluster(self) -> None:
        if account := _account():
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        settings = ("--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--username=taskiq", "--auth=trust")
        command = self._command("initdb", "-D", str(self._data), *settings)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join([*_DEFAULTS, *self.config]) + "\n")

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._binaries / program), *arguments]
        account = _account()
        who = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"] if account else []
        if not shutil.which("setpriv"):
            return command
        # The kernel ends the server even when the tests are ended by SIGKILL.
        return ["setpriv", *who, "--pdeathsig", "KILL", *command]


_DEFAULTS = (
    f"listen_addresses = '{LOOPBACK}'",
    "unix_socket_directories = ''",
    "max_connections = 200",
    "shared_buffers = 128MB",
    "fsync = off",
    "full_page_writes = off",
    "logging_collector = off",
)


def binaries() -> Path:
    """The directory of `initdb` and `postgres`. Skips the test that asks, if there is none or nobody may run them."""
    folder = POSTGRES.path().parent
    if os.geteuid() == 0 and (_account() is None or not shutil.which("setpriv")):
        pytest.skip("needs a server: PostgreSQL does not run as root, and there is no other account or no setpriv")
    return folder


@cache
def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((known[name] for name in _ACCOUNTS if name in known), None)
