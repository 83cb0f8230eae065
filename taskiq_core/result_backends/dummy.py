"""The result backend of brokers that were given none."""

from collections.abc import Mapping, Sequence
from typing import Any

from taskiq_core.abc.result_backend import AsyncResultBackend, R
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultBackendNotConfiguredError
from taskiq_core.result import TaskiqResult


class DummyResultBackend(AsyncResultBackend[R]):
    """Keeps nothing: storing costs nothing, no result is ever ready, and waiting is refused at once."""

    keeps_results = False

    def pack(self, task_id: str, result: TaskiqResult[Any], ttl: float | None = None) -> StoredResult:
        """Nothing is serialised, since nothing is stored."""
        return StoredResult(task_id, b"", ttl, result)

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        """Accept and forget."""

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        return {}

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        """Refuse.

        :raises ResultBackendNotConfiguredError: always, since no result will ever arrive.
        """
        raise ResultBackendNotConfiguredError
