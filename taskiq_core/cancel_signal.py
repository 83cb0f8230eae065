"""How a running task learns that somebody has cancelled it."""

import threading

from taskiq_core.exceptions import TaskCancelledError


class CancelSignal:
    """`ctx.cancelled`; every method may be called from any thread.

    An async task is cancelled at its next `await` and rarely asks. A thread cannot be stopped: a `def` task that runs long
    should ask, and return.
    """

    __slots__ = ("_event", "_reason")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason: str | None = None

    @property
    def reason(self) -> str | None:
        """Why; None while the task is not cancelled."""
        return self._reason

    def is_set(self) -> bool:
        """Whether the task is cancelled."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until the task is cancelled, `timeout` seconds at most; returns whether it is.

        A pause that ends early: `if ctx.cancelled.wait(5): return`. Not for async tasks, as it blocks the event loop.
        """
        return self._event.wait(timeout)

    def raise_if_set(self) -> None:
        """End the task if it is cancelled.

        :raises TaskCancelledError: if it is, with the reason.
        """
        if self._event.is_set():
            raise TaskCancelledError(reason=self._reason or "no reason given")

    def set(self, reason: str) -> None:
        """Called by the worker."""
        self._reason = reason
        self._event.set()
