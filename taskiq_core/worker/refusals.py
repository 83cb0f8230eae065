"""What was cancelled before it began: messages that end beside each other, each with its hooks."""

from collections import deque
from collections.abc import Iterable
from functools import partial

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core.message import TaskiqMessage
from taskiq_core.worker.execution import Execution
from taskiq_core.worker.reports import Reports
from taskiq_core.worker.stopping import within

_MOST = 100
"""Messages whose hooks run at once."""

Marked = tuple[Delivery, TaskiqMessage, str]
"""A message that has been taken out of its room, and why it was cancelled."""


class Refusals:
    """A room of the worker. Hooks may take seconds: they hold up neither each other nor whoever looks for cancels."""

    def __init__(self, execution: Execution, reports: Reports) -> None:
        self._execution = execution
        self._reports = reports
        self._waiting: deque[Marked] = deque()
        self._ending: set[Delivery] = set()
        self._news = anyio.Event()

    def put(self, marked: Iterable[Marked]) -> None:
        """End these."""
        self._waiting.extend(marked)
        self._news.set()

    def close(self) -> list[Delivery]:
        """End no more; returns those whose end has not been reported. It never will be."""
        left = [*(delivery for delivery, _, _ in self._waiting), *self._ending]
        self._waiting.clear()
        self._ending.clear()
        return left

    async def run(self) -> None:
        """End what is put here, until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                while self._waiting and len(self._ending) < _MOST:
                    marked = self._waiting.popleft()
                    self._ending.add(marked[0])
                    group.start_soon(within, anyio.CancelScope(), partial(self._end, *marked))
                await self._news.wait()
                self._news = anyio.Event()

    async def _end(self, delivery: Delivery, message: TaskiqMessage, reason: str) -> None:
        outcome = await self._execution.refused(delivery, message, reason)
        if delivery in self._ending:
            self._ending.discard(delivery)
            self._reports.ended(outcome)
        self._news.set()
