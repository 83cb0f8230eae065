"""The result backend on NATS."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from typing_extensions import TypeVar

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultBackendError, ResultGetError, ResultSetError
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.server_results import as_result_error, patiently
from taskiq_core.url_options import positive_seconds
from taskiq_core.waiting import SharedWait
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.location import CONNECTION_OPTIONS, copies, locate, options_in
from taskiq_core_result_backends_nats.arrivals import Arrivals
from taskiq_core_result_backends_nats.bucket import Bucket
from taskiq_core_result_backends_nats.library import Library
from taskiq_core_result_backends_nats.shelves import DAY, shelf_for

R = TypeVar("R", default=Any)

_OPTIONS: Final = {"result_ttl": positive_seconds, "replicas": copies}
_PATIENCE = 3.0
"""Seconds without a sign of life from NATS after which a connection is given up."""


class NatsResultBackend(AsyncResultBackend[R]):
    """Results and progress in key-value buckets of JetStream. It is no coordinator and keeps no task records.

    :param url: as for `NatsBroker`.
    :param result_ttl: seconds that a result is kept; None keeps it for ever.
    :param prefix: what the names of all buckets begin with.
    :param replicas: on how many servers of a cluster the buckets are kept that are made from now on, 1 to 5.
    """

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(
        self,
        url: str = "nats://localhost:4222",
        result_ttl: float | None = DAY,
        *,
        prefix: str | None = None,
        replicas: int = 1,
    ) -> None:
        self.location = locate(url, prefix)
        self.result_ttl = None if result_ttl is None else positive_seconds("result_ttl", result_ttl)
        self._replicas = copies("replicas", replicas)
        self._connection: Connection | None = None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from `nats://host:4222?result_ttl=3600`.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        if self._connection is not None:
            return
        connection = Connection(self.location, _PATIENCE)
        connection.begin()  # and no more: who sends needs no results, and tasks end while there is no place for theirs
        prefix = self.location.prefix
        self._connection = connection
        self._library = Library(connection, f"{prefix}_results", shelf_for(self.result_ttl), self._replicas)
        self._arrivals = Arrivals(connection, f"{prefix}.told.results", self._library.note)
        self._progress = Bucket(connection, f"{prefix}_progress", max_age=DAY, replicas=self._replicas)
        self._shared_wait = SharedWait(patiently(self._fetch), self._arrivals.open)

    async def shutdown(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    # -- results --------------------------------------------------------------------------------------------------------------

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        if not results:
            return
        connection = self._started()
        with as_result_error(ResultSetError):
            ids = await self._library.store(results, self.result_ttl)
            for shelf, task_ids in ids.items():
                self._arrivals.tell(await connection.usable(), shelf, task_ids)

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        self._started()
        with as_result_error(ResultGetError):
            return self._loaded(await self._library.find(task_ids))

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        self._started()
        return self._loaded(await self._shared_wait.wait(task_ids, timeout))

    async def _fetch(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        if self._connection is None:
            msg = "the NATS result backend was shut down while somebody waited for results."
            raise ResultGetError(msg)
        self._arrivals.listen()
        return await self._library.find(task_ids)

    def _loaded(self, bodies: Mapping[str, bytes]) -> dict[str, TaskiqResult[R]]:
        return {task_id: self.load(body) for task_id, body in bodies.items()}

    def _started(self) -> Connection:
        if self._connection is None:
            msg = f"the NATS result backend at {self.location.place} is not started: call `await broker.startup()` first."
            raise ResultBackendError(msg)
        return self._connection

    # -- progress -------------------------------------------------------------------------------------------------------------

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        self._started()
        with as_result_error(ResultBackendError):
            await self._progress.put({task_id: pack(progress.model_dump())})

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        self._started()
        with as_result_error(ResultBackendError):
            found = await self._progress.get([task_id])
        return TaskProgress[Any].model_validate(unpack(found[task_id].value)) if found else None
