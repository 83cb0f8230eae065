"""The time limit of one run, which the run may move."""

import threading

import anyio
import anyio.from_thread
import anyio.lowlevel


class TimeLimit:
    """A cancel scope that ends `timeout` seconds from now, unless that is moved, which may be done from any thread."""

    __slots__ = ("_extended", "_thread", "_timeout", "_token", "scope")

    def __init__(self, timeout: float) -> None:
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + timeout)
        self._timeout = timeout
        self._thread = threading.get_ident()
        self._token = anyio.lowlevel.current_token()
        self._extended = False

    def extend(self, seconds: float) -> None:
        """Have it end that many seconds from now, but no earlier than it would."""
        if threading.get_ident() == self._thread:
            self._move(seconds)
        else:
            anyio.from_thread.run_sync(self._move, seconds, token=self._token)

    def _move(self, seconds: float) -> None:
        deadline = anyio.current_time() + seconds
        if deadline > self.scope.deadline:
            self.scope.deadline = deadline
            self._extended = True

    def exceeded(self, task_name: str) -> TimeoutError:
        """What becomes of a run that exceeds it."""
        how = ", which it had extended" if self._extended else ""
        return TimeoutError(f"Task {task_name!r} ran longer than its timeout of {self._timeout:g} s{how}.")
