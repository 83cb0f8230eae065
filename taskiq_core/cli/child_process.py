"""One worker process as its supervisor sees it."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_REPORT_SIZE: Final = 64 * 1024


class ChildProcess:
    """Started at construction, in a process group of its own: Ctrl-C in a terminal reaches the supervisor alone.

    The child gets `--lifeline FD` (end of file when the supervisor is dead), `--report FD` (for one text: why it cannot
    start), `--recorder PATH` and a `--predecessor PATH` for each dead worker whose leases it shall take back.

    :raises OSError: if the system has no room for another process.
    """

    def __init__(self, command: Sequence[str], lifeline: int, recorder: Path | None, predecessors: Sequence[Path]) -> None:
        self.recorder = recorder
        self.kill_at: float | None = None
        """When to kill it, on the monotonic clock; None while nobody has told it to stop."""
        self._report, write_end = os.pipe()
        os.set_blocking(self._report, False)
        arguments = [*command, "--lifeline", str(lifeline), "--report", str(write_end)]
        arguments += ["--recorder", str(recorder)] if recorder else []
        for path in predecessors:
            arguments += ["--predecessor", str(path)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                arguments, stdin=subprocess.DEVNULL, pass_fds=(lifeline, write_end), process_group=0
            )
        except BaseException:
            os.close(self._report)
            raise
        finally:
            os.close(write_end)
        self.pid = self._process.pid
        self.started = time.monotonic()

    def stop(self, within: float) -> None:
        """Ask it to end its work and exit; `kill_at` is set to `within` seconds from now, unless it was set before."""
        self.send(signal.SIGTERM)
        if self.kill_at is None:
            self.kill_at = time.monotonic() + within

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, not to what it has started."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL it and everything in its process group: a task must not go on in a process that its worker left behind."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self, code: int) -> str:
        """Forget the process, which its supervisor has reaped; returns what it reported."""
        self._process.returncode = code
        try:
            return os.read(self._report, _REPORT_SIZE).decode(errors="replace").strip()
        except BlockingIOError:
            return ""  # something that it started still holds the other end
        finally:
            os.close(self._report)
