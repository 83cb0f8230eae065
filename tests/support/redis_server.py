"""A real Redis server, private to a test: to configure, kill, pause and restart."""

import json
import re
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import pytest
from redis import Redis
from support.processes import RunningProcess, freeze
from support.redis_certificates import Certificates
from support.server_programs import REDIS
from support.tcp_ports import LOOPBACK, free_port

_ATTEMPTS = 5
_WITHOUT_TLS = r"Failed finding TLS support|'tls-port \d+'\nBad directive"

# A server dies with the thread that started it (see `_command`), so all are started by one that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="redis-starter")


class RedisServer:
    """A server with a directory of its own on a free loopback port; as a context manager it runs for the block.

    `config` are lines of redis.conf, for example `"appendonly yes"`; they come last, so they win over the defaults here:
    loopback only, nothing saved. It ends with this process, however that ends. All calls block until they are done.
    """

    _arguments: tuple[str, ...] = ()
    _ready = "Ready to accept connections"

    def __init__(self, *config: str, password: str = "", tls: Certificates | None = None) -> None:
        REDIS.path()
        self.config = config
        self.password = password
        self.tls = tls
        self.folder = Path(tempfile.mkdtemp(prefix="taskiq-redis-"))
        self.file = self.folder / "server.conf"
        self.port = free_port()
        self._process: RunningProcess | None = None
        self._was_ready = False

    @property
    def url(self) -> str:
        """`redis://` or, with `tls`, `rediss://`, with the password and database 0."""
        user = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{'rediss' if self.tls else 'redis'}://{user}{LOOPBACK}:{self.port}/0"

    @property
    def quoted_password(self) -> str:
        """As a line of redis.conf wants it."""
        return json.dumps(self.password, ensure_ascii=False)

    @property
    def process(self) -> RunningProcess:
        """The process that runs or ran last; its lines are the server's log."""
        assert self._process is not None, "not started yet"
        return self._process

    def client(self) -> Redis:
        """A blocking client for what a test has to arrange or look at; close it, or use it as a context manager."""
        trust = {"ssl_ca_certs": str(self.tls.ca)} if self.tls else {}
        return Redis.from_url(self.url, decode_responses=True, **trust)

    def start(self) -> Self:
        """Start it on what its directory has, and wait until it answers.

        :raises AssertionError: with its log, if it ends or does not get ready in time.
        """
        for _ in range(_ATTEMPTS):
            if not self._was_ready:
                self.file.write_text("\n".join([*self._defaults(), *self.config]) + "\n")
            # The file stays as it is from now on: a Sentinel rewrites it to tell a server whom it follows.
            self._process = _starter.submit(RunningProcess, self._command(), cwd=self.folder).result()
            try:
                self._process.wait_for_line(self._ready)
            except AssertionError:
                self.kill()
                if self.tls and re.search(_WITHOUT_TLS, self._process.output):
                    pytest.skip("needs a server that was built with TLS")
                if self._was_ready or "Address already in use" not in self._process.output:
                    raise
                self.port = free_port()
            else:
                self._was_ready = True
                return self
        raise AssertionError(f"{_ATTEMPTS} ports tried, all taken\n" + self.process.report)

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait for that. It writes to disk what its configuration says."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL, also if it is paused or has ended already."""
        self.process.kill_group()

    def restart(self) -> Self:
        """Start again on the same port and directory; SIGKILL first if it still runs."""
        self.kill()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: the kernel keeps its connections and accepts new ones, but nobody answers."""
        freeze(self.process.pid)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

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

    def _defaults(self) -> list[str]:
        lines = [
            f"bind {LOOPBACK}",
            f"dir {self.folder}",
            'logfile ""',
            "daemonize no",
            'save ""',
            "repl-diskless-sync-delay 0",
        ]
        if self.tls is None:
            lines.append(f"port {self.port}")
        else:
            lines += ["port 0", f"tls-port {self.port}", *self.tls.server_config()]
        if self.password:
            lines += [f"requirepass {self.quoted_password}", f"masterauth {self.quoted_password}"]
        return lines

    def _command(self) -> list[str]:
        command = [str(REDIS.path()), str(self.file), *self._arguments]
        # The kernel ends the server even when the tests are ended by SIGKILL.
        return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command
