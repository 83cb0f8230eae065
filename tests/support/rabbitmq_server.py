"""A real RabbitMQ server, private to a test."""

import os
import shutil
import subprocess
from contextlib import suppress
from urllib.parse import quote

import pytest
from support.certificates import Certificates
from support.processes import DEADLINE
from support.rabbitmq_home import lean_home
from support.server_process import ServerProcess, ending_with_us
from support.server_programs import RABBITMQ
from support.tcp_ports import LOOPBACK, free_port

_NODE = "rabbit@localhost"


class RabbitServer(ServerProcess):
    """A node of its own, which uses one core at most. `config` are lines such as `"channel_max = 5"`."""

    program = RABBITMQ
    url_variable = "TASKIQ_TEST_RABBITMQ_URL"
    """What tests declare stays on it, below names that begin with `test-`: name one that can be thrown away."""
    patience = 2 * DEADLINE
    _ready = "Server startup complete"
    _port_taken = "eaddrinuse"

    def __init__(self, *config: str, user: str = "guest", password: str = "guest", tls: Certificates | None = None) -> None:
        super().__init__(*config)
        self.user, self.password = user, password
        self.tls = tls
        self.file = self.folder / "rabbitmq.conf"
        self._lean_binary = lean_home(self._binary, self.folder / "home")

    def url_at(self, port: int) -> str:
        """`amqp://` or, with `tls`, `amqps://`, with user and password, of the virtual host `/`."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{'amqps' if self.tls else 'amqp'}://{user}@{LOOPBACK}:{port}/"

    def erlang(self, expression: str) -> str:
        """Evaluate an Erlang expression in the server, such as `rabbit_vhost:list_names()`, and return what it is, as text.

        Takes milliseconds, where `rabbitmqctl` takes a second or two.

        :raises AssertionError: if the server is not reached or the expression fails.
        """
        cookie = (self.folder / ".erlang.cookie").read_text()
        command = ["erl_call", "-sname", _NODE, "-c", cookie, "-timeout", f"{DEADLINE:.0f}", "-e"]
        text = f'lists:flatten(io_lib:format("~0p", [begin {expression} end])).\n'
        env = {**os.environ, **self._environment()}
        done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, check=False)
        assert done.stdout.startswith('{ok, "'), f"{expression}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()[6:-2]

    def kill(self) -> None:
        """SIGKILL, also if it is paused or has ended already.

        A server that runs writes before which quorum queues there are: it takes seconds for that by itself, and one that is
        newer than that answers nobody after a crash.
        """
        if self.serves:
            with suppress(AssertionError):
                self.erlang("[dets:sync(Table) || Table <- dets:all()]")
        super().kill()

    def _take_ports(self) -> None:
        super()._take_ports()
        self._node_port, self._names_port = free_port(), free_port()

    def _prepare(self) -> None:
        (self.folder / "enabled_plugins").write_text("[].\n")
        super()._prepare()

    def _defaults(self) -> list[str]:
        lines = [f"default_user = {self.user}", f"default_pass = {self.password}", "log.console = true", "log.file = false"]
        lines += ["default_user_tags.administrator = true", "loopback_users = none"]
        if self.tls is None:
            lines.append(f"listeners.tcp.1 = {LOOPBACK}:{self.port}")
        else:
            lines += ["listeners.tcp = none", f"listeners.ssl.1 = {LOOPBACK}:{self.port}"]
            lines += [f"ssl_options.cacertfile = {self.tls.ca}", f"ssl_options.certfile = {self.tls.cert}"]
            lines += [f"ssl_options.keyfile = {self.tls.key}", "ssl_options.verify = verify_none"]
        return lines

    def _environment(self) -> dict[str, str]:
        own = {
            "CONFIG_FILE": self.file.name,
            "ENABLED_PLUGINS_FILE": "enabled_plugins",
            "MNESIA_BASE": "data",
            "LOG_BASE": "log",
            "GENERATED_CONFIG_DIR": "generated",
        }
        erlang = (
            # The name from the start: otherwise the server starts a second Erlang first, and that one a name server for good.
            f"-noinput -sname {_NODE} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}}",
            f"inet_dist_listen_min {self._node_port} inet_dist_listen_max {self._node_port} +S 1:1 +sbwt none",
        )
        return {
            **{f"RABBITMQ_{name}": str(self.folder / file) for name, file in own.items()},
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_ALLOW_INPUT": "1",  # the script becomes the server instead of its parent; for the rest see `-noinput`
            "RABBITMQ_SERVER_START_ARGS": " ".join(erlang),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_CRASH_DUMP": str(self.folder / "crash.dump"),
            "HOME": str(self.folder),  # of the Erlang cookie, which it makes there
        }

    def _command(self) -> list[str]:
        if not shutil.which("epmd"):
            pytest.skip("needs a server: there is no epmd, the name server of Erlang, on the PATH")
        tied = " ".join(ending_with_us())  # as is its name server
        return ["sh", "-c", f'{tied} epmd >/dev/null 2>&1 & exec {tied} "$0"', str(self._lean_binary)]
