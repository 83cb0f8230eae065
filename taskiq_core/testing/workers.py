"""The workers of a test: real ones, that can die."""

from collections.abc import Callable
from functools import partial

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
        await self.worker.serve()


class Workers:
    """Workers in the background."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._running: list[_Running] = []
        self._dying: list[BackgroundTask] = []

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

        :raises IndexError: if there is none of that number.
        """
        running = self._running.pop(index)
        running.life.over = True
        self._dying.append(BackgroundTask(partial(running.task.wait, 0.0), "death of a worker"))

    async def stop(self) -> None:
        """End all."""
        for running in self._running:
            running.worker.stop(now=True)
        for running in self._running:
            await running.task.wait(_END)
        for dying in self._dying:
            await dying.wait(_END)
        self._running, self._dying = [], []

    def error(self) -> BaseException | None:
        """Why a worker has ended that nobody stopped."""
        return next((running.task.error for running in self._running if running.task.error is not None), None)
