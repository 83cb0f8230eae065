"""Schedules in one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.stored_schedules import ScheduleReader
from taskiq_core.url_options import refuse_unknown
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.location import file_path, split_url
from taskiq_core_brokers_sqlite.owner import OwnsFile
from taskiq_core_schedule_sources_sqlite import table

_LOOK_AGAIN: Final = 1.0
"""Seconds after which a waiting scheduler looks for changes of which nobody told it."""


class SQLiteScheduleSource(OwnsFile, ScheduleSource):
    """Schedules in an SQLite file, for all processes on one machine. One-off schedules are deleted once they have fired.

    Schedulers hear of a change in milliseconds where processes can ring each other, and after one second at most.

    :param url_or_path: the file, which may be the broker's; `sqlite:///relative.db` or `sqlite:////absolute.db` too.
    """

    def __init__(self, url_or_path: str | Path) -> None:
        self.path = file_path(url_or_path)
        self._database: Database | None = None
        self._seen = -1
        self._reader = ScheduleReader(self.path)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from `sqlite:///path`.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        path, _ = split_url(url, {})
        refuse_unknown(options, (), "The SQLite URL")
        return cls(path)

    async def startup(self) -> None:
        if self._database is not None and self._database.usable:
            return
        database = await Database.open(self.path)
        try:
            await database.add_tables(table.make_tables)
        except BaseException:
            await database.close()
            raise
        self._database = database

    async def shutdown(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    async def get_schedules(self) -> list[ScheduledTask]:
        self._seen, rows = await self._opened().read(table.read_all)
        return self._reader.read((body, bool(paused)) for paused, body in rows)

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        await self.add_schedules([schedule])

    async def add_schedules(self, schedules: Sequence[ScheduledTask]) -> None:
        await self._opened().write(lambda conn: table.put(conn, schedules))

    async def delete_schedule(self, schedule_id: str) -> None:
        await self.delete_schedules([schedule_id])

    async def delete_schedules(self, schedule_ids: Sequence[str]) -> None:
        await self._opened().write(lambda conn: table.drop(conn, schedule_ids))

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        if not await self._opened().write(lambda conn: table.pause(conn, schedule_id, paused)):
            raise KeyError(schedule_id)

    async def wait_changed(self) -> None:
        database = self._opened()
        with database.doorbell.listen([table.CHANGED]) as bell:
            while await database.read(table.changes) == self._seen:
                await bell.wait(_LOOK_AGAIN)

    async def post_send(self, task: ScheduledTask) -> None:
        if task.is_one_off:
            # Quietly: other schedulers know by their coordinator that it has fired, and need not read everything anew.
            await self._opened().write(lambda conn: table.drop_quietly(conn, [task.schedule_id]))

    def _opened(self) -> Database:
        if self._database is None:
            reason = f"The SQLite schedule source of {self.path} is not started: call `await source.startup()` first."
            raise ConfigurationError(reason=reason)
        return self._database
