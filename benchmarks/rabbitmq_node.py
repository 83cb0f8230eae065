"""A RabbitMQ node of its own for this process: free ports of this machine, a folder that is removed afterwards."""

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks.server import LOOPBACK, free_port, wait_until

_PATIENCE = 60.0
_NAME = "rabbit@localhost"
_SETTINGS = "default_user = guest\ndefault_pass = guest\nlog.console = false\nlog.file = false\n"


class RabbitNode:
    """Starts in seconds, and so is started once; each measurement has a virtual host of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._hosts = 0
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(f"{_SETTINGS}listeners.tcp.1 = {LOOPBACK}:{self.port}\n")
        self._variables = _variables(folder)
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @contextmanager
    def host(self) -> Generator[str]:
        """A new virtual host for the length of the block."""
        self._hosts += 1
        name = f"bench{self._hosts}"
        everything = ", ".join(['<<".*">>'] * 3)
        self._erlang(f'rabbit_vhost:add(<<"{name}">>, <<"bench">>)')
        self._erlang(f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {everything}, <<"bench">>)')
        try:
            yield name
        finally:
            self._erlang(f'rabbit_vhost:delete(<<"{name}">>, <<"bench">>)')

    def end(self) -> None:
        """Kill it and remove its folder."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> "subprocess.Popen[bytes]":
        # The kernel ends the node and its name server with this process, however that ends.
        leash = "setpriv --pdeathsig KILL "
        script = f'{leash}epmd >/dev/null 2>&1 & exec {leash}"$0"'
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", script, str(_program())], cwd=self._folder, env=self._variables, stdout=log, stderr=log
            )
        wait_until(self._greet, process, _PATIENCE)
        return process

    def _greet(self) -> None:
        with socket.create_connection((LOOPBACK, self.port), timeout=_PATIENCE) as link:
            link.sendall(b"AMQP\x00\x00\x09\x01")
            if not link.recv(1):
                raise ConnectionError("it takes nobody yet")

    def _erlang(self, expression: str) -> None:
        """Have it evaluate an expression; takes milliseconds, where its own command line takes seconds."""
        cookie = (self._folder / ".erlang.cookie").read_text()
        command = ["erl_call", "-sname", _NAME, "-c", cookie, "-e"]
        done = subprocess.run(command, input=f"{expression}.\n".encode(), env=self._variables, capture_output=True, check=True)
        if not done.stdout.startswith(b"{ok,"):
            raise RuntimeError(f"{expression}: {done.stdout.decode()}")


@cache
def rabbit_node() -> RabbitNode:
    """The one of this process, which ends with it."""
    node = RabbitNode(Path(tempfile.mkdtemp(prefix="taskiq-bench-rabbitmq-")))
    atexit.register(node.end)
    return node


def _program() -> Path:
    # Debian's rabbitmq-server on the PATH changes the user and the directory; this one does neither.
    plain = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    found = str(plain) if plain.exists() else shutil.which("rabbitmq-server")
    if found is None or shutil.which("erl_call") is None:
        raise FileNotFoundError("The benchmarks on RabbitMQ need rabbitmq-server, and Erlang's epmd and erl_call on the PATH.")
    return Path(found)


def _variables(folder: Path) -> dict[str, str]:
    files = {
        "CONFIG_FILE": "rabbitmq.conf",
        "ENABLED_PLUGINS_FILE": "enabled_plugins",
        "MNESIA_BASE": "data",
        "LOG_BASE": "log.d",
    }
    erlang = (
        f"-noinput -sname {_NAME} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}}",
        f"inet_dist_listen_min {(port := free_port())} inet_dist_listen_max {port}",
    )
    return {
        **os.environ,
        **{f"RABBITMQ_{name}": str(folder / file) for name, file in files.items()},
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_NODENAME": _NAME,
        "RABBITMQ_DIST_PORT": str(port),
        "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the node instead of its parent
        "RABBITMQ_SERVER_START_ARGS": " ".join(erlang),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(free_port()),
        "HOME": str(folder),  # of the Erlang cookie, which it makes there
    }
