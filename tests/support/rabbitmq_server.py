"""A real RabbitMQ server, private to a test: to configure, kill, pause and restart."""

import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import pytest
from support.processes import DEADLINE, RunningProcess, freeze
from support.rabbitmq_home import lean_home
from support.redis_certificates import Certificates
from support.server_programs import RABBITMQ
from support.tcp_ports import LOOPBACK, free_port

_ATTEMPTS = 5
_NODE = "rabbit@localhost"
_READY = "Server startup complete"

# A server dies with the thread that started it (see `_command`), so all are started by one that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="rabbitmq-starter")


class RabbitServer:
    """A node of its own, with all that it writes, on free loopback ports; as a context manager it runs for the block.

    `config` are lines of rabbitmq.conf, for example `"channel_max = 5"`; they come last, so they win over the defaults here.
    It uses one core at most, and ends with this process, however that ends. All calls block until they are done.
    """

    def __init__(self, *config: str, user: str = "guest", password: str = "guest", tls: Certificates | None = None) -> None:
        installed = RABBITMQ.path()
        self.config = config
        self.user = user
        self.password = password
        self.tls = tls
        self.folder = Path(tempfile.mkdtemp(prefix="taskiq-rabbitmq-"))
        self._program = lean_home(installed, self.folder / "home")
        self._process: RunningProcess | None = None
        self._was_ready = self._paused = False
        self._take_ports()

    @property
    def url(self) -> str:
        """`amqp://` or, with `tls`, `amqps://`, with user and password, of the virtual host `/`."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The same by way of another port, such as that of a proxy."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"{'amqps' if self.tls else 'amqp'}://{user}@{LOOPBACK}:{port}/"

    @property
    def process(self) -> RunningProcess:
        """The process that runs or ran last; its lines are the server's log."""
        assert self._process is not None, "not started yet"
        return self._process

    def start(self) -> Self:
        """Start it on what its directory has, and wait until it answers.

        :raises AssertionError: with its log, if it ends or does not get ready in time.
        """
        for _ in range(_ATTEMPTS):
            self._write_settings()
            self._paused = False
            self._process = _starter.submit(RunningProcess, self._command(), cwd=self.folder, env=self._environment()).result()
            try:
                self._process.wait_for_line(_READY, timeout=2 * DEADLINE)
            except AssertionError:
                self._process.kill_group()
                if self._was_ready or "eaddrinuse" not in self._process.output:
                    raise
                self._take_ports()
            else:
                self._was_ready = True
                return self
        raise AssertionError(f"{_ATTEMPTS} times a port was taken\n" + self.process.report)

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

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait for that."""
        self.process.stop(2 * DEADLINE)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, also if it is paused or has ended already.

        A server that runs writes before which quorum queues there are: it takes seconds for that by itself, and one that is
        newer than that answers nobody after a crash.
        """
        if self.process.returncode is None and not self._paused:
            with suppress(AssertionError):
                self.erlang("[dets:sync(Table) || Table <- dets:all()]")
        self.process.kill_group()

    def restart(self) -> Self:
        """Start again on the same port and directory; SIGKILL first if it still runs."""
        self.kill()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: the kernel keeps its connections and accepts new ones, but nobody answers."""
        self._paused = True
        freeze(self.process.pid)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)
        self._paused = False

    def close(self) -> None:
        """Kill it and remove its directory."""
        if self._process is not None:
            self._process.kill_group()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _take_ports(self) -> None:
        self.port, self._node_port, self._names_port = free_port(), free_port(), free_port()

    def _write_settings(self) -> None:
        (self.folder / "enabled_plugins").write_text("[].\n")
        lines = [f"default_user = {self.user}", f"default_pass = {self.password}", "log.console = true", "log.file = false"]
        lines += ["default_user_tags.administrator = true", "loopback_users = none"]
        if self.tls is None:
            lines.append(f"listeners.tcp.1 = {LOOPBACK}:{self.port}")
        else:
            lines += ["listeners.tcp = none", f"listeners.ssl.1 = {LOOPBACK}:{self.port}"]
            lines += [f"ssl_options.cacertfile = {self.tls.ca}", f"ssl_options.certfile = {self.tls.cert}"]
            lines += [f"ssl_options.keyfile = {self.tls.key}", "ssl_options.verify = verify_none"]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, *self.config]) + "\n")

    def _environment(self) -> dict[str, str]:
        own = {
            "CONFIG_FILE": "rabbitmq.conf",
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
        # The kernel ends the server even when the tests are ended by SIGKILL, and its name server with it.
        last_words = "setpriv --pdeathsig KILL " if shutil.which("setpriv") else ""
        if not shutil.which("epmd"):
            pytest.skip("needs a server: there is no epmd, the name server of Erlang, on the PATH")
        script = f'{last_words}epmd >/dev/null 2>&1 & exec {last_words}"$0"'
        return ["sh", "-c", script, str(self._program)]
