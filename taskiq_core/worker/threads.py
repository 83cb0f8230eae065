"""Running plain functions in threads, and keeping an eye on those that do not end."""

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import anyio.to_thread

logger = logging.getLogger("taskiq.worker")


class Threads:
    """As many threads as there are callers; the worker's slots bound those.

    A thread cannot be stopped. One whose task has timed out or was given up goes on as a runaway: its slot is free, but it
    is counted in `runaways` and reported, until it ends by itself.
    """

    def __init__(self) -> None:
        # No limit: an abandoned thread keeps its token on trio, and would take it from a task that has its slot.
        self._limiter = anyio.CapacityLimiter(math.inf)
        self._lock = threading.Lock()
        self.runaways = 0
        self._run_on: Counter[str] = Counter()
        """Runaways by the ids of their tasks."""

    def run_on(self, task_id: str) -> bool:
        """Whether a thread of this task is a runaway."""
        return self._run_on[task_id] > 0

    async def run(
        self, function: Callable[[], Any], name: str, running: Callable[[bool], None], task_ids: Sequence[str] = ()
    ) -> Any:
        """Call `function` in a thread, with the caller's ContextVars, for these tasks. Cancelling abandons the thread.

        `running` is called with True and False, in that thread, around the call.
        """
        begun = ended = abandoned = False

        def call() -> Any:
            nonlocal begun, ended
            with self._lock:
                if abandoned:
                    return None
                begun = True
            running(True)
            try:
                return function()
            finally:
                with self._lock:
                    ended = True
                    if abandoned:
                        self._has_ended(name, task_ids)
                    else:
                        running(False)

        try:
            return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)
        except anyio.get_cancelled_exc_class():
            with self._lock:
                abandoned = True
                if begun and not ended:
                    running(False)
                    self._runs_on(name, task_ids)
            raise

    def _runs_on(self, name: str, task_ids: Sequence[str]) -> None:
        self.runaways += 1
        self._run_on += Counter(task_ids)
        logger.error(
            "Task %s was given up but its thread cannot be stopped and runs on; %d such threads now. "
            'Use executor="process" for a limit that stops it.',
            name,
            self.runaways,
        )

    def _has_ended(self, name: str, task_ids: Sequence[str]) -> None:
        self.runaways -= 1
        self._run_on -= Counter(task_ids)
        logger.warning("The runaway thread of task %s has ended; %d left.", name, self.runaways)
