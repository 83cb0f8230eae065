"""What a running task needs to know about the place it runs in."""

from collections.abc import Callable
from contextvars import Context

from taskiq_core.worker.recorder import Recorder


class Slot:
    """One of the worker's places to run a task in."""

    __slots__ = ("_base", "_recorder", "_wake", "index")

    def __init__(self, index: int, recorder: Recorder, base: Context, wake: Callable[[], None]) -> None:
        self.index = index
        self._recorder = recorder
        self._base = base
        self._wake = wake

    def context(self) -> Context:
        """A fresh context for one task."""
        return self._base.copy()

    def begin(self, task_id: str) -> None:
        """Note what runs here."""
        self._recorder.begin(self.index, task_id)

    def end(self) -> None:
        """Nothing runs here."""
        self._recorder.loop(self.index, False)

    def suspended(self) -> None:
        """The task waits: let another slot have the loop."""
        self._recorder.loop(self.index, False)
        self._wake()

    def resumed(self) -> None:
        """The task goes on."""
        self._recorder.loop(self.index, True)

    def in_thread(self, running: bool) -> None:
        """The task's function runs in a thread, or no longer."""
        self._recorder.thread(self.index, running)
