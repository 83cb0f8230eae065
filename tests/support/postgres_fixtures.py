"""Fixtures of the PostgreSQL tests; a conftest.py imports them by name."""

from collections.abc import Callable

from support import postgres_servers
from support.postgres_server import PostgresServer
from support.server_fixtures import name_within, starter_of

StartPostgres = Callable[..., PostgresServer]

postgres_schema = name_within(postgres_servers.fresh_schema)
start_postgres = starter_of(PostgresServer)
