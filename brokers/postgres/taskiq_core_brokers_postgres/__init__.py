"""PostgreSQL broker for taskiq_core, and the database that all PostgreSQL plugins share."""

from taskiq_core_brokers_postgres.broker import PostgresBroker
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.errors import PostgresError
from taskiq_core_brokers_postgres.location import Location, locate
from taskiq_core_brokers_postgres.migrations import upgrade
from taskiq_core_brokers_postgres.subscription import PostgresSubscription

__all__ = ["Database", "Location", "PostgresBroker", "PostgresError", "PostgresSubscription", "locate", "upgrade"]
