"""The SQLite broker keeps the laws of brokers."""

import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

from taskiq_core.testing.broker_suite import BrokerContract
from taskiq_core_brokers_sqlite import SQLiteBroker
from taskiq_core_result_backends_sqlite import SQLiteResultBackend


class TestSQLiteBroker(BrokerContract):
    pause_delay = 0.0

    @asynccontextmanager
    async def fresh_store(self):
        with tempfile.TemporaryDirectory() as folder:
            yield partial(SQLiteBroker, Path(folder) / "queue.db", lease=self.lease)

    @asynccontextmanager
    async def transaction(self, broker):
        with closing(sqlite3.connect(broker.path)) as connection, connection:
            yield connection

    def result_backend_beside(self, broker):
        return SQLiteResultBackend(broker.path)
