"""The in-memory stores keep the laws."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.testing import CoordinatorContract, RecordStoreContract, ResultBackendContract

Factory = Callable[[], InMemoryResultBackend]


class Memory:
    shared = False

    @asynccontextmanager
    async def fresh_store(self) -> AsyncGenerator[Factory, None]:
        yield InMemoryResultBackend


class TestMemoryResults(Memory, ResultBackendContract):
    pass


class TestMemoryRecords(Memory, RecordStoreContract):
    pass


class TestMemoryCoordinator(Memory, CoordinatorContract):
    pass
