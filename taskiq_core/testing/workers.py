"""The workers of a test: real ones, that can die."""

from collections.abc import Callable

from taskiq_core.background import BackgroundTask
from taskiq_core.testing.faults import Life, life
from taskiq_core.worker import Worker

_END = 10.0
"""Seconds of the virtual clock for a worker to end, after a stop that leaves it nothing to do."""


class _Running:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.life = Life()
        self.task = BackgroundTask(self._serve, "worker of a test")

    async def _serve(self) -> None:
        life.set(self.life)
        try:
            await self.worker.serve()
        except BaseException:
            if not self.life.over:
                raise


class Workers:
    """Workers in the background."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._running: list[_Running] = []
        self._dead: list[_Running] = []

    @property
    def count(self) -> int:
        """How many live."""
        return len(self._running)

    def start(self) -> None:
        """One more.

        :raises ConfigurationError: for tasks that cannot work.
        """
        worker = self._make()
        worker.check()
        self._running.append(_Running(worker))

    def crash(self, index: int) -> None:
        """End a worker without a word.

        :raises RuntimeError: if there is none of that number.
        """
        if index >= len(self._running):
            msg = "There is no worker that could crash."
            raise RuntimeError(msg)
        running = self._running.pop(index)
        running.life.over = True
        running.task.cancel()
        self._dead.append(running)

    async def stop(self) -> None:
        """End all."""
        for running in self._running:
            running.worker.stop(now=True)
        for running in (*self._running, *self._dead):
            await running.task.wait(_END)
        self._running, self._dead = [], []

    def error(self) -> BaseException | None:
        """Why a worker has ended that nobody stopped."""
        return next((running.task.error for running in self._running if running.task.error is not None), None)
