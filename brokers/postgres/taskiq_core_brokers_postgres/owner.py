"""Tables that are upgraded by hand."""

from typing import Final

from taskiq_core.abc.schema_owner import SchemaOwner, SchemaVersion
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.location import Location
from taskiq_core_brokers_postgres.migrations import VERSION, stored_version, upgrade
from taskiq_core_brokers_postgres.opening import connected

_PATIENCE: Final = 5.0


class OwnsTables(SchemaOwner):
    """Has its tables in the schema of its location, as all plugins at one location have."""

    location: Location

    async def schema_version(self) -> SchemaVersion:
        async with connected(Database(self.location, _PATIENCE), _PATIENCE) as connection:
            return self._found(await stored_version(connection, self.location.schema))

    async def upgrade_schema(self) -> SchemaVersion:
        async with connected(Database(self.location, _PATIENCE), _PATIENCE) as connection:
            return self._found(VERSION - await upgrade(connection, self.location))

    def _found(self, version: int) -> SchemaVersion:
        return SchemaVersion(f"PostgreSQL {self.location.server}, schema {self.location.schema}", version, VERSION)
