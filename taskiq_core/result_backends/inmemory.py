"""Results in this process's memory, as bytes: types and errors behave as they would on a server."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import anyio

from taskiq_core.abc.result_backend import AsyncResultBackend, R
from taskiq_core.delivery import StoredResult
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.stores.expiring import ExpiringDict, deadline_of
from taskiq_core.stores.memory_coordinator import MemoryCoordinator
from taskiq_core.stores.memory_records import MemoryRecords
from taskiq_core.wire import pack, unpack


class InMemoryResultBackend(AsyncResultBackend[R], MemoryRecords, MemoryCoordinator):
    """Results, progress, records and coordination for one event loop; all of it ends with the process.

    Keeps the last `max_stored_results` results, progresses and records; older ones go out. Whoever waits is woken by the
    write itself.
    """

    def __init__(self, max_stored_results: int = 100_000, result_ttl: float | None = None) -> None:
        MemoryRecords.__init__(self)
        MemoryCoordinator.__init__(self)
        self.result_ttl = result_ttl
        self.max_records = max_stored_results
        self._bodies: ExpiringDict[str, bytes] = ExpiringDict(max_stored_results)
        self._progress: ExpiringDict[str, bytes] = ExpiringDict(max_stored_results)
        self._waiting: dict[str, dict[anyio.Event, None]] = {}

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Of `memory://`; options are the constructor's."""
        return cls(**options)

    @property
    def results(self) -> dict[str, TaskiqResult[R]]:
        """A copy of all that is stored, oldest first; for tests and debugging."""
        return {task_id: self.load(body) for task_id, body in self._bodies.items()}

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        for item in results:
            ttl = self.result_ttl if item.ttl is None else item.ttl
            self._bodies.put(item.task_id, item.body, deadline_of(ttl))
        for item in results:
            for event in self._waiting.get(item.task_id, ()):
                event.set()

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        found = ((task_id, self._bodies.get(task_id)) for task_id in task_ids)
        return {task_id: self.load(body) for task_id, body in found if body is not None}

    async def is_result_ready(self, task_id: str) -> bool:
        return task_id in self._bodies

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        with anyio.move_on_after(timeout):
            while not any(task_id in self._bodies for task_id in task_ids):
                with self._listening(task_ids) as event:
                    await event.wait()
        return await self.get_results(task_ids)

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        self._progress.put(task_id, pack(progress.model_dump()))

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        body = self._progress.get(task_id)
        return None if body is None else TaskProgress[Any].model_validate(unpack(body))

    @contextmanager
    def _listening(self, task_ids: Sequence[str]) -> Generator[anyio.Event, None, None]:
        event = anyio.Event()
        for task_id in task_ids:
            self._waiting.setdefault(task_id, {})[event] = None
        try:
            yield event
        finally:
            for task_id in task_ids:
                waiters = self._waiting.get(task_id, {})
                waiters.pop(event, None)
                if not waiters:
                    self._waiting.pop(task_id, None)
