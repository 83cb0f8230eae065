"""A real server, private to a test: to configure, kill, pause and restart."""

import shutil
import signal
import tempfile
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from support.processes import DEADLINE, RunningProcess, freeze
from support.server_programs import ServerProgram
from support.tcp_ports import free_port

_ATTEMPTS = 5

# A server dies with the thread that started it (see `ending_with_us`), so all are started by one that lives as long as we do.
_starter = ThreadPoolExecutor(1, thread_name_prefix="server-starter")


class ServerProcess(ABC):
    """A server with a directory of its own on a free loopback port; as a context manager it runs for the block.

    `config` are lines of its configuration file; they come last, so they win over the defaults of its kind. It ends with this
    process, however that ends. All calls block until they are done.
    """

    program: ClassVar[ServerProgram]
    url_variable: ClassVar[str]
    """Environment variable with the URL of a server for the tests to share, instead of one that is started here."""
    patience: ClassVar[float] = DEADLINE
    """Seconds for it to get ready, and to end when it is asked to."""
    _ready: ClassVar[str]
    """A regular expression for the line by which it says that it answers."""
    _port_taken: ClassVar[str]
    """What it says if somebody else listens on its port."""
    _stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, *config: str) -> None:
        self._binary = self.program.path()
        self.config = config
        self.folder = Path(tempfile.mkdtemp(prefix=f"taskiq-{self.program.package}-"))
        self.file = self.folder / "server.conf"  # its configuration
        self._process: RunningProcess | None = None
        self._was_ready = self._paused = False
        self._take_ports()

    @property
    def url(self) -> str:
        """Where clients find it, with what they log in by."""
        return self.url_at(self.port)

    @abstractmethod
    def url_at(self, port: int) -> str:
        """The same by way of another port, such as that of a proxy."""

    @property
    def process(self) -> RunningProcess:
        """The process that runs or ran last; its lines are the server's log."""
        assert self._process is not None, "not started yet"
        return self._process

    @property
    def serves(self) -> bool:
        """Whether it runs and is not paused."""
        return self._process is not None and self._process.returncode is None and not self._paused

    def start(self) -> Self:
        """Start it on what its directory has, and wait until it answers.

        :raises AssertionError: with its log, if it ends or does not get ready in time.
        """
        for _ in range(_ATTEMPTS):
            if not self._was_ready:  # from then on the directory is the server's: a Sentinel rewrites its configuration
                self._prepare()
            self._paused = False
            self._process = _starter.submit(RunningProcess, self._command(), cwd=self.folder, env=self._environment()).result()
            try:
                self._process.wait_for_line(self._ready, timeout=self.patience)
            except AssertionError:
                self._end()
                if self._was_ready or self._port_taken not in self._process.output:
                    raise
                self._take_ports()
            else:
                self._was_ready = True
                return self
        raise AssertionError(f"{_ATTEMPTS} ports tried, all taken\n" + self.process.report)

    def stop(self) -> None:
        """Ask it to end and wait for that. It writes to disk what its configuration says."""
        self.process.send_signal(self._stop_signal)
        self.process.wait(self.patience)
        self._end()

    def kill(self) -> None:
        """SIGKILL, also if it is paused or has ended already."""
        self._end()

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
            self._end()
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
        self.port = free_port()

    def _prepare(self) -> None:
        """Write what it starts on; once more for other ports, if the first ones were taken."""
        self.file.write_text(self._configuration())

    def _configuration(self) -> str:
        return "\n".join([*self._defaults(), *self.config]) + "\n"

    @abstractmethod
    def _defaults(self) -> list[str]:
        """Lines of its configuration, before those of the test."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What starts it in the foreground, with `ending_with_us` in front; its log goes to standard output."""

    def _environment(self) -> dict[str, str]:
        """Variables for it beside those of this process."""
        return {}

    def _end(self) -> None:
        """SIGKILL for all of its processes, at once."""
        self.process.kill_group()


def ending_with_us(*options: str) -> list[str]:
    """What to put before a command: the kernel ends it then even when the tests are ended by SIGKILL.

    `options` are more of `setpriv`.
    """
    return ["setpriv", *options, "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
