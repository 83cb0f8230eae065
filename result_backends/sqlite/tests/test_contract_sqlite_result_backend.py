"""The SQLite backend keeps the laws of result backends."""

import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from taskiq_core.testing.coordinator_suite import CoordinatorContract
from taskiq_core.testing.record_suite import RecordStoreContract
from taskiq_core.testing.result_backend_suite import ResultBackendContract
from taskiq_core_result_backends_sqlite import SQLiteResultBackend


class OnOneFile:
    @asynccontextmanager
    async def fresh_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield partial(SQLiteResultBackend, Path(folder) / "results.db")


class TestSQLiteResultBackend(OnOneFile, ResultBackendContract):
    pass


class TestSQLiteRecords(OnOneFile, RecordStoreContract):
    pass


class TestSQLiteCoordinator(OnOneFile, CoordinatorContract):
    pass
