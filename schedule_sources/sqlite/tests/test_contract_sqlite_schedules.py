"""The SQLite schedule source keeps the laws of schedule sources."""

import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from taskiq_core.testing.schedule_suite import ScheduleSourceContract
from taskiq_core_schedule_sources_sqlite import SQLiteScheduleSource


class TestSQLiteScheduleSource(ScheduleSourceContract):
    @asynccontextmanager
    async def fresh_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield partial(SQLiteScheduleSource, Path(folder) / "schedules.db")
