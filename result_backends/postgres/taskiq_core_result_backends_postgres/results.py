"""The result backend on PostgreSQL's tables."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from typing_extensions import TypeVar

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultGetError, ResultSetError
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.server_results import as_result_error, patiently
from taskiq_core.url_options import flag, positive_seconds
from taskiq_core.waiting import SharedWait
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.expiry import Expiry
from taskiq_core_brokers_postgres.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_postgres.opening import Opening
from taskiq_core_brokers_postgres.owner import OwnsTables
from taskiq_core_brokers_postgres.results_table import STORE, columns_of, in_range
from taskiq_core_result_backends_postgres.arrivals import Arrivals
from taskiq_core_result_backends_postgres.coordinator import PostgresCoordinator
from taskiq_core_result_backends_postgres.records import PostgresRecords

R = TypeVar("R", default=Any)

_OPTIONS: Final = {**dict.fromkeys(("result_ttl", "record_ttl", "poll_interval"), positive_seconds), "migrate": flag}
_PATIENCE = 5.0
"""Seconds without an answer after which a connection is given up, and for which the start is tried."""
_PROGRESS_TTL = 86400.0

_GET = """SELECT task_id, body FROM taskiq.results
          WHERE task_id = ANY($1::text[]) AND (expires IS NULL OR expires > now())"""
_READY = "SELECT FROM taskiq.results WHERE task_id = $1 AND (expires IS NULL OR expires > now())"
# A row whose time hardly moves keeps it: then its new version needs no entry in an index.
_SET_PROGRESS = """INSERT INTO taskiq.progress AS known (task_id, expires, body)
    VALUES ($1, now() + $2::float8 * interval '1 second', $3)
    ON CONFLICT (task_id) DO UPDATE SET body = excluded.body, expires = CASE
        WHEN known.expires > now() + 0.9 * $2::float8 * interval '1 second' THEN known.expires ELSE excluded.expires END"""
_GET_PROGRESS = "SELECT body FROM taskiq.progress WHERE task_id = $1 AND expires > now()"


class PostgresResultBackend(PostgresRecords, PostgresCoordinator, OwnsTables, AsyncResultBackend[R]):
    """Results, progress, records and coordination in PostgreSQL.

    :param url: as for `PostgresBroker`; in the broker's database and schema, results are stored by the statement that
        acknowledges.
    :param result_ttl: seconds that a result is kept; None keeps it for ever.
    :param record_ttl: seconds that the record of a task is kept after its last change.
    :param poll_interval: seconds after which a waiting caller looks for itself, should no notification have woken it.
    :param schema: the schema that holds the tables.
    :param migrate: make or upgrade the tables at the start; False refuses to start on tables of another version.
    """

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say about the backend."""

    def __init__(
        self,
        url: str = "postgresql://localhost/postgres",
        result_ttl: float | None = 86400.0,
        *,
        record_ttl: float = 7 * 86400.0,
        poll_interval: float = 1.0,
        schema: str | None = None,
        migrate: bool = True,
    ) -> None:
        self.location = locate(url, schema)
        self.result_ttl = None if result_ttl is None else in_range(positive_seconds("result_ttl", result_ttl))
        self.record_ttl = in_range(positive_seconds("record_ttl", record_ttl))
        self._poll_interval = positive_seconds("poll_interval", poll_interval)
        self._migrate = migrate
        self._arrivals: Arrivals | None = None
        self._shared_wait: SharedWait[bytes] | None = None
        self._expiry: Expiry | None = None
        self._opening: Opening | None = None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from `postgresql://user:password@host:5432/database?result_ttl=3600`.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        if self.database is not None and self.database.usable:
            return
        database = Database(self.location, _PATIENCE)
        self._opening = Opening(database, migrate=self._migrate)
        await self._opening.begin()
        self.database = database
        self._arrivals = Arrivals(database, self._poll_interval)
        self._shared_wait = SharedWait(patiently(self._fetch), self._arrivals.open)
        self._expiry = Expiry(database)
        self._expiry.start()

    async def shutdown(self) -> None:
        database, self.database = self.database, None
        for part in (self._opening, self._arrivals, self._expiry, database):
            if part is not None:
                await part.close()
        self._opening = self._arrivals = self._expiry = None

    # -- results --------------------------------------------------------------------------------------------------------------

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        if results:
            with as_result_error(ResultSetError):
                await self.require_database().fetch(STORE, *columns_of(results, self.result_ttl))

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        with as_result_error(ResultGetError):
            return self._loaded(await self._fetch(task_ids))

    async def is_result_ready(self, task_id: str) -> bool:
        with as_result_error(ResultGetError):
            return bool(await self.require_database().fetch(_READY, task_id))

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        self.require_database()
        assert self._shared_wait is not None
        return self._loaded(await self._shared_wait.wait(task_ids, timeout))

    async def _fetch(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        if not task_ids:
            return {}
        return {row[0]: row[1] for row in await self.require_database().fetch(_GET, task_ids)}

    def _loaded(self, bodies: Mapping[str, bytes]) -> dict[str, TaskiqResult[R]]:
        return {task_id: self.load(body) for task_id, body in bodies.items()}

    # -- progress -------------------------------------------------------------------------------------------------------------

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        ttl = _PROGRESS_TTL if self.result_ttl is None else self.result_ttl
        await self.ask(_SET_PROGRESS, task_id, ttl, pack(progress.model_dump()))

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        rows = await self.ask(_GET_PROGRESS, task_id)
        return TaskProgress[Any].model_validate(unpack(rows[0][0])) if rows else None
