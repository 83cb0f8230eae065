"""The time limit of one run, which the run may move."""

import threading
from collections.abc import Awaitable
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

T = TypeVar("T")


class Home:
    """The event loop that tasks run in, and its thread: found once, for that costs more than a limit."""

    __slots__ = ("thread", "token")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.token = anyio.lowlevel.current_token()


class TimeLimit:
    """A cancel scope that ends `timeout` seconds from now, unless that is moved, which may be done from any thread."""

    __slots__ = ("_extended", "_home", "_timeout", "scope")

    def __init__(self, timeout: float, home: Home) -> None:
        self.scope = anyio.move_on_after(timeout)
        self._timeout = timeout
        self._home = home
        self._extended = False

    def extend(self, seconds: float) -> None:
        """Have it end that many seconds from now, but no earlier than it would."""
        if threading.get_ident() == self._home.thread:
            self._move(seconds)
        else:
            anyio.from_thread.run_sync(self._move, seconds, token=self._home.token)

    def _move(self, seconds: float) -> None:
        deadline = anyio.current_time() + seconds
        if deadline > self.scope.deadline:
            self.scope.deadline = deadline
            self._extended = True

    def exceeded(self, task_name: str) -> TimeoutError:
        """What becomes of a run that exceeds it."""
        return exceeded(task_name, self._timeout, ", which it had extended" if self._extended else "")


async def within(timeout: float, running: Awaitable[T], task_name: str) -> T:
    """Await a run that cannot move its limit.

    :raises TimeoutError: if it takes longer.
    """
    with anyio.move_on_after(timeout):
        return await running
    raise exceeded(task_name, timeout)


def exceeded(task_name: str, timeout: float, how: str = "") -> TimeoutError:
    """What is raised in the place of a run that took too long."""
    return TimeoutError(f"Task {task_name!r} ran longer than its timeout of {timeout:g} s{how}.")
