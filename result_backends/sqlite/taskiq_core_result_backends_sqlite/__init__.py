"""SQLite result backend, record store and coordinator for taskiq_core."""

from taskiq_core_result_backends_sqlite.results import SQLiteResultBackend

__all__ = ["SQLiteResultBackend"]
