"""The result backend on Redis."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from typing_extensions import TypeVar

from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.asyncio_only import require_asyncio
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import ResultBackendError, ResultGetError, ResultSetError
from taskiq_core.progress import TaskProgress
from taskiq_core.result import TaskiqResult
from taskiq_core.server_results import as_result_error, patiently
from taskiq_core.url_options import positive_seconds
from taskiq_core.waiting import SharedWait
from taskiq_core.wire import pack, unpack
from taskiq_core_brokers_redis.deliveries import storing
from taskiq_core_brokers_redis.line import PATIENCE, Line
from taskiq_core_brokers_redis.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis.arrivals import Arrivals
from taskiq_core_result_backends_redis.coordinator import RedisCoordinator
from taskiq_core_result_backends_redis.records import RedisRecords

R = TypeVar("R", default=Any)

_OPTIONS: Final = {"result_ttl": positive_seconds, "record_ttl": positive_seconds}
_STORE = Script("done", "settle")
_PROGRESS_TTL = 86400.0


class RedisResultBackend(RedisRecords, RedisCoordinator, AsyncResultBackend[R]):
    """Results, progress, records and coordination in Redis.

    :param url: as for `RedisBroker`; at the broker's place and prefix, results are stored in the same step that acknowledges.
    :param result_ttl: seconds that a result is kept; None keeps it for ever.
    :param record_ttl: seconds that the record of a task is kept after its last change.
    :param prefix: what the names of all keys begin with.
    :param connection: more keyword arguments for redis-py's `Connection`.
    """

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        result_ttl: float | None = 86400.0,
        *,
        record_ttl: float = 7 * 86400.0,
        prefix: str | None = None,
        **connection: Any,
    ) -> None:
        self.location = locate(url, prefix, connection)
        self.result_ttl = None if result_ttl is None else positive_seconds("result_ttl", result_ttl)
        self.record_ttl = positive_seconds("record_ttl", record_ttl)
        self._arrivals: Arrivals | None = None
        self._shared_wait: SharedWait[bytes] | None = None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from `redis://host:port/0?result_ttl=3600`.

        :raises ConfigurationError: for a wrong URL or an unknown option.
        """
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        if self.commands is not None:
            return
        require_asyncio("Redis")
        self.commands = Line(self.location.server, patience=PATIENCE)
        self._arrivals = Arrivals(self.location.server, f"{self.location.root}:result:", PATIENCE)
        self._shared_wait = SharedWait(patiently(self._fetch_arrived), self._arrivals.open)

    async def shutdown(self) -> None:
        commands, self.commands = self.commands, None
        arrivals, self._arrivals = self._arrivals, None
        if commands is not None:
            await commands.close()
        if arrivals is not None:
            await arrivals.close()

    # -- results --------------------------------------------------------------------------------------------------------------

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        if results:
            with as_result_error(ResultSetError):
                await self.require_commands().run(_STORE, self.location.root, *storing(results, self.result_ttl))

    async def get_results(self, task_ids: Sequence[str]) -> Mapping[str, TaskiqResult[R]]:
        with as_result_error(ResultGetError):
            return self._loaded(await self._fetch(task_ids))

    async def is_result_ready(self, task_id: str) -> bool:
        with as_result_error(ResultGetError):
            return bool(await self.require_commands().call("EXISTS", self._key(task_id)))

    async def wait_results(self, task_ids: Sequence[str], timeout: float | None = None) -> Mapping[str, TaskiqResult[R]]:
        self.require_commands()
        assert self._shared_wait is not None
        return self._loaded(await self._shared_wait.wait(task_ids, timeout))

    def _key(self, task_id: str) -> str:
        return f"{self.location.root}:result:{task_id}"

    async def _fetch(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        if not task_ids:
            return {}
        bodies = await self.require_commands().call("MGET", *map(self._key, task_ids))
        return {task_id: body for task_id, body in zip(task_ids, bodies, strict=True) if body is not None}

    async def _fetch_arrived(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        arrivals = self._arrivals
        if arrivals is None:
            msg = "the Redis result backend was shut down while somebody waited for results."
            raise ResultGetError(msg)
        return await self._fetch(await arrivals.which(task_ids))

    def _loaded(self, bodies: Mapping[str, bytes]) -> dict[str, TaskiqResult[R]]:
        return {task_id: self.load(body) for task_id, body in bodies.items()}

    # -- progress -------------------------------------------------------------------------------------------------------------

    async def set_progress(self, task_id: str, progress: TaskProgress[Any]) -> None:
        ttl = _PROGRESS_TTL if self.result_ttl is None else self.result_ttl
        with as_result_error(ResultBackendError):
            key, body = f"{self.location.root}:progress:{task_id}", pack(progress.model_dump())
            await self.require_commands().call("SET", key, body, "PX", max(1, int(ttl * 1000)))

    async def get_progress(self, task_id: str) -> TaskProgress[Any] | None:
        with as_result_error(ResultBackendError):
            body = await self.require_commands().call("GET", f"{self.location.root}:progress:{task_id}")
        return None if body is None else TaskProgress[Any].model_validate(unpack(body))
