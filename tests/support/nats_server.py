"""A real NATS server with JetStream, private to a test: to configure, kill, pause and restart."""

import json
import shutil
import signal
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from support.processes import RunningProcess, freeze
from support.redis_certificates import Certificates
from support.server_programs import NATS
from support.tcp_ports import LOOPBACK, free_port

_ATTEMPTS = 5

# A server dies with the thread that started it (see `_command`), so all are started by one that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="nats-starter")


class NatsServer:
    """A server with a directory of its own on a free loopback port; as a context manager it runs for the block.

    `config` are lines of its configuration file, for example `"max_payload: 65536"`; they come last, so they win over the
    defaults here: loopback only, JetStream in its directory. With `user` and `password` it wants those. It ends with this
    process, however that ends. All calls block until they are done.
    """

    def __init__(self, *config: str, user: str = "", password: str = "", tls: Certificates | None = None) -> None:
        self._binary = NATS.path()
        self.config = config
        self.user, self.password = user, password
        self.tls = tls
        self.folder = Path(tempfile.mkdtemp(prefix="taskiq-nats-"))
        self.file = self.folder / "server.conf"
        self.port = free_port()
        self._process: RunningProcess | None = None
        self._was_ready = False

    @property
    def url(self) -> str:
        """`nats://` or, with `tls`, `tls://`, with user and password."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """The same by way of another port, such as that of a proxy."""
        user = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user else ""
        return f"{'tls' if self.tls else 'nats'}://{user}{LOOPBACK}:{port}"

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
            self.file.write_text("\n".join([*self._defaults(), *self.config]) + "\n")
            self._process = _starter.submit(RunningProcess, self._command(), cwd=self.folder).result()
            try:
                self._process.wait_for_line("Server is ready")
            except AssertionError:
                self.kill()
                if self._was_ready or "address already in use" not in self._process.output:
                    raise
                self.port = free_port()
            else:
                self._was_ready = True
                return self
        raise AssertionError(f"{_ATTEMPTS} ports tried, all taken\n" + self.process.report)

    def stop(self) -> None:
        """Ask it to end (SIGTERM) and wait for that."""
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
        lines = [f'listen: "{LOOPBACK}:{self.port}"', f"jetstream: {{store_dir: {json.dumps(str(self.folder))}}}"]
        if self.user:
            lines.append(f"authorization: {{user: {json.dumps(self.user)}, password: {json.dumps(self.password)}}}")
        if self.tls is not None:
            files = {"cert_file": self.tls.cert, "key_file": self.tls.key, "ca_file": self.tls.ca}
            lines.append("tls: {" + ", ".join(f"{name}: {json.dumps(str(path))}" for name, path in files.items()) + "}")
        return lines

    def _command(self) -> list[str]:
        command = [str(self._binary), "--config", str(self.file)]
        # The kernel ends the server even when the tests are ended by SIGKILL.
        return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command
