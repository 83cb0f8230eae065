"""PostgreSQL result backend for taskiq_core."""

from taskiq_core_result_backends_postgres.results import PostgresResultBackend

__all__ = ["PostgresResultBackend"]
