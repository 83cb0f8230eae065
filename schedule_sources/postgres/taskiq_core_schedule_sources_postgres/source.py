"""Schedules in PostgreSQL."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.stored_schedules import ScheduleReader, body_of
from taskiq_core.url_options import flag
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.expiry import Expiry
from taskiq_core_brokers_postgres.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_postgres.opening import open_tables
from taskiq_core_brokers_postgres.owner import OwnsTables
from taskiq_core_result_backends_postgres.coordinator import PostgresCoordinator
from taskiq_core_schedule_sources_postgres.change_watch import ChangeWatch

_PATIENCE: Final = 5.0
"""Seconds without an answer after which a connection is given up, and for which the start is tried."""
# Also where there is no schedule; the number and the schedules are of one moment.
_LIST = """SELECT coalesce((SELECT count FROM taskiq.schedule_changes), 0), paused, body
           FROM (VALUES (1)) AS single LEFT JOIN taskiq.schedules ON true ORDER BY id"""
_PUT = "SELECT taskiq.put_schedules($1, $2, $3)"
_DROP = "SELECT taskiq.drop_schedules($1)"
_DROP_QUIETLY = "DELETE FROM taskiq.schedules WHERE schedule_id = $1"
_PAUSE = "SELECT taskiq.pause_schedule($1, $2)"


class PostgresScheduleSource(PostgresCoordinator, OwnsTables, ScheduleSource):
    """Schedules in PostgreSQL, for schedulers on any number of machines. One-off schedules are deleted once they have fired.

    It is a coordinator too, so that the schedulers that share it make each fire once, whatever the broker is. They hear of a
    change in milliseconds, and after one second at most once the connection is back. All methods raise `PostgresError` if the
    server cannot be reached, and `ResultBackendError` as a coordinator; each may be repeated then.

    :param url: `postgresql://user:password@host:5432/database`.
    :param schema: the schema that holds the tables; it may be the broker's.
    :param migrate: make or upgrade the tables at the start; False refuses to start on tables of another version.
    """

    url_options: ClassVar[frozenset[str]] = frozenset({"migrate"}) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(
        self, url: str = "postgresql://localhost/postgres", *, schema: str | None = None, migrate: bool = True
    ) -> None:
        self.location = locate(url, schema)
        self._migrate = migrate
        self._watch: ChangeWatch | None = None
        self._expiry: Expiry | None = None
        self._seen = -1
        self._reader = ScheduleReader(f"PostgreSQL at {self.location.place}")

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from a URL; `options` are keyword arguments of the class.

        :raises ConfigurationError: for a wrong URL or an unknown option in it.
        """
        return cls(url, **{**options_in(url, {"migrate": flag}), **options})

    async def startup(self) -> None:
        if self.database is not None and self.database.usable:
            return
        database = Database(self.location, _PATIENCE)
        await open_tables(database, _PATIENCE, migrate=self._migrate)
        self.database = database
        self._watch = ChangeWatch(database)
        self._expiry = Expiry(database)
        self._expiry.start()

    async def shutdown(self) -> None:
        database, self.database = self.database, None
        for part in (self._watch, self._expiry, database):
            if part is not None:
                await part.close()
        self._watch = self._expiry = None

    async def get_schedules(self) -> list[ScheduledTask]:
        rows = await self._opened().fetch(_LIST)
        self._seen = rows[0][0]
        return self._reader.read((body, paused) for _, paused, body in rows if body is not None)

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        await self.add_schedules([schedule])

    async def add_schedules(self, schedules: Sequence[ScheduledTask]) -> None:
        rows = {item.schedule_id: (item.schedule_id, item.paused, body_of(item)) for item in schedules}
        if rows:
            await self._opened().fetch(_PUT, *zip(*rows.values(), strict=True))

    async def delete_schedule(self, schedule_id: str) -> None:
        await self.delete_schedules([schedule_id])

    async def delete_schedules(self, schedule_ids: Sequence[str]) -> None:
        if schedule_ids:
            await self._opened().fetch(_DROP, list(schedule_ids))

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        ((found,),) = await self._opened().fetch(_PAUSE, schedule_id, paused)
        if not found:
            raise KeyError(schedule_id)

    async def wait_changed(self) -> None:
        if self._watch is None:
            raise self._not_started()
        await self._watch.wait(self._seen)

    async def post_send(self, task: ScheduledTask) -> None:
        if task.is_one_off:
            # Quietly: other schedulers know by their coordinator that it has fired, and need not read everything anew.
            await self._opened().fetch(_DROP_QUIETLY, task.schedule_id)

    def _opened(self) -> Database:
        if self.database is None or not self.database.usable:
            raise self._not_started()
        return self.database

    def _not_started(self) -> ConfigurationError:
        reason = (
            f"The PostgreSQL schedule source at {self.location.place} is not started in this process: "
            "call `await source.startup()` first, also after a fork."
        )
        return ConfigurationError(reason=reason)
