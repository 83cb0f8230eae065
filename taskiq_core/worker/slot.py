"""What a running task needs to know about the place it runs in, and how it is cancelled there."""

from collections.abc import Callable, Sequence
from contextvars import Context

import anyio

from taskiq_core.context import Context as TaskContext
from taskiq_core.exceptions import TaskCancelledError
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.recorder import Recorder


class Slot:
    """One of the worker's places to run a task in.

    It runs in a cancel scope of its own, which is there for one task after the other and renewed only when it was used.
    """

    __slots__ = ("_base", "_in_thread", "_recorder", "_scope", "_wake", "batch", "index", "message", "task_context", "told")

    def __init__(self, index: int, recorder: Recorder, base: Context, wake: Callable[[], None]) -> None:
        self.index = index
        self._recorder = recorder
        self._base = base
        self._wake = wake
        self._scope = anyio.CancelScope()
        self._in_thread = False
        self.message: TaskiqMessage | None = None
        """What is here and may still be cancelled."""
        self.batch: Sequence[str] = ()
        """The ids of the tasks that run here together."""
        self.task_context: TaskContext | None = None
        """That of the running task."""
        self.told: str | None = None
        """Why the task was cancelled; None if it was not."""

    @property
    def task_ids(self) -> Sequence[str]:
        """Of what is here."""
        return self.batch if self.message is None else [self.message.task_id]

    def context(self) -> Context:
        """A fresh context for one task."""
        return self._base.copy()

    def begin(self, task_id: str) -> None:
        """Note what runs here."""
        self._recorder.begin(self.index, task_id)

    def end(self) -> None:
        """Nothing runs here."""
        self._recorder.loop(self.index, False)
        self.message = self.task_context = None

    def suspended(self) -> None:
        """The task waits: let another slot have the loop."""
        self._recorder.loop(self.index, False)
        self._wake()

    def resumed(self) -> None:
        """The task goes on."""
        self._recorder.loop(self.index, True)

    def in_thread(self, running: bool) -> None:
        """The task's function runs in a thread, or no longer. Called in that thread."""
        self._recorder.thread(self.index, running)

    # -- cancelling ---------------------------------------------------------------------------------------------------------

    def renew(self) -> anyio.CancelScope:
        """A scope for the tasks up to the next cancel, to be entered."""
        self.told = None
        self._scope = anyio.CancelScope()
        return self._scope

    def cancel(self, reason: str) -> None:
        """Cancel the task that is here, at its next `await`; while it is in a thread it is only told."""
        if self.message is None or self.told is not None:
            return
        self.told = reason
        if self.task_context is not None:
            self.task_context.cancelled.set(reason)
        if not self._in_thread:
            self._scope.cancel()

    def enter_thread(self) -> None:
        """From now on the task waits for a thread, which it must not leave behind."""
        self._in_thread = True

    def leave_thread(self) -> None:
        """The thread has ended or was given up."""
        self._in_thread = False
        if self.told is not None:
            self._scope.cancel()

    def check(self) -> None:
        """What is here is about to begin.

        :raises TaskCancelledError: if it has been cancelled.
        """
        if self.told is not None:
            raise TaskCancelledError(reason=self.told)

    def close(self) -> str | None:
        """The task has ended and can no longer be cancelled: returns why it was, None if it was not."""
        open_still, self.message = self.message is not None, None
        return self.told if open_still else None
