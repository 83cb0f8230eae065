"""A result backend in one file."""

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from anyio.lowlevel import RunVar
from typing_extensions import TypeVar

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultBackendError, ResultGetError, ResultSetError
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.server_results import as_result_error
from taskiq_core.url_options import positive_seconds, refuse_unknown
from taskiq_core.waiting import SharedWait
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_sqlite.connection import Connection, data_version
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.doorbell import RESULTS, Bell
from taskiq_core_brokers_sqlite.location import file_path, split_url
from taskiq_core_brokers_sqlite.owner import OwnsFile
from taskiq_core_brokers_sqlite.results_table import store_results
from taskiq_core_brokers_sqlite.statements import as_set
from taskiq_core_result_backends_sqlite.coordinator import SQLiteCoordinator
from taskiq_core_result_backends_sqlite.records import SQLiteRecords

R = TypeVar("R", default=Any)

_OPTIONS: Final = {"result_ttl": positive_seconds, "poll_interval": positive_seconds}
_PROGRESS_TTL = 86400.0
_GET = "SELECT task_id, body FROM {} WHERE task_id IN (SELECT value FROM json_each(?)) AND (expires IS NULL OR expires > ?)"
_GET_RESULTS = _GET.format("taskiq_results")
_GET_PROGRESS = _GET.format("taskiq_progress")


class SQLiteResultBackend(SQLiteRecords, SQLiteCoordinator, OwnsFile, AsyncResultBackend[R]):
    """Results, progress, records and coordination in an SQLite file, for all processes on one machine.

    :param url_or_path: the file, which may be the broker's; `sqlite:///relative.db` or `sqlite:////absolute.db` too.
    :param result_ttl: seconds that a result is kept; None keeps it for ever.
    :param poll_interval: seconds after which a waiting caller looks for itself, should nobody have woken it.
    """

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS)
    """What the query of a URL may say."""

    def __init__(
        self, url_or_path: str | Path, result_ttl: float | None = 86400.0, *, poll_interval: float | None = None
    ) -> None:
        self.path = file_path(url_or_path)
        self.result_ttl = None if result_ttl is None else positive_seconds("result_ttl", result_ttl)
        self._poll_interval = None if poll_interval is None else positive_seconds("poll_interval", poll_interval)
        self._shared_wait: RunVar[SharedWait[bytes]] = RunVar("shared_wait")

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from `sqlite:///path?result_ttl=3600`.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        path, in_url = split_url(url, _OPTIONS)
        refuse_unknown(options, cls.url_options, "The SQLite URL")
        return cls(path, **{**in_url, **options})

    async def startup(self) -> None:
        if self.database is None or not self.database.usable:
            self.database = await Database.open(self.path)

    async def shutdown(self) -> None:
        database, self.database = self.database, None
        if database is not None:
            await database.close()

    # -- results --------------------------------------------------------------------------------------------------------------

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        with as_result_error(ResultSetError):
            await self.require_database().write(lambda conn: store_results(conn, results, self.result_ttl))

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        return self._loaded(await self._fetch(task_ids))

    async def is_result_ready(self, task_id: str) -> bool:
        return bool(await self._fetch([task_id]))

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        shared = self._shared_wait.get(None)
        if shared is None:
            shared = SharedWait(self._fetch, self._open_watch)
            self._shared_wait.set(shared)
        return self._loaded(await shared.wait(task_ids, timeout))

    async def _fetch(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        with as_result_error(ResultGetError):
            parameters = (as_set(task_ids), time.time())
            return await self.require_database().read(lambda conn: dict(conn.execute(_GET_RESULTS, parameters).fetchall()))

    def _loaded(self, bodies: Mapping[str, bytes]) -> dict[str, TaskiqResult[R]]:
        return {task_id: self.load(body) for task_id, body in bodies.items()}

    @contextlib.contextmanager
    def _open_watch(self) -> Generator["_ResultWatch"]:
        database = self.require_database()
        floor = self._poll_interval or (0.25 if database.doorbell.works else 0.05)
        with database.doorbell.listen([RESULTS]) as bell:
            yield _ResultWatch(database, bell, floor)

    # -- progress -------------------------------------------------------------------------------------------------------------

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        ttl = _PROGRESS_TTL if self.result_ttl is None else self.result_ttl
        row = (task_id, time.time() + ttl, pack(progress.model_dump()))
        statement = "REPLACE INTO taskiq_progress (task_id, expires, body) VALUES (?, ?, ?)"

        def store(conn: Connection) -> None:
            conn.execute(statement, row)

        with as_result_error(ResultBackendError):
            await self.require_database().write(store)

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        parameters = (as_set([task_id]), time.time())
        with as_result_error(ResultBackendError):
            row = await self.require_database().read(lambda conn: conn.execute(_GET_PROGRESS, parameters).fetchone())
        return None if row is None else TaskProgress[Any].model_validate(unpack(row[1]))


class _ResultWatch:
    """Rings, and looks by itself now and then whether anything was written."""

    def __init__(self, database: Database, bell: Bell, floor: float) -> None:
        self._database, self._bell, self._floor = database, bell, floor
        self._seen: tuple[int, int] | None = None

    async def wait(self) -> None:
        while not await self._bell.wait(self._floor):
            version = await self._database.read(data_version)
            if version != self._seen:
                self._seen = version
                return
