"""SQLite broker for taskiq_core, and the database that all SQLite plugins of one process share."""

from taskiq_core_brokers_sqlite.broker import SQLiteBroker
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.errors import DatabaseError
from taskiq_core_brokers_sqlite.subscription import SQLiteSubscription

__all__ = ["Database", "DatabaseError", "SQLiteBroker", "SQLiteSubscription"]
