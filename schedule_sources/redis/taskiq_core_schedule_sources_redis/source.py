"""Schedules in Redis."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.asyncio_only import require_asyncio
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.stored_schedules import ScheduleReader, body_of
from taskiq_core_brokers_redis.eviction import warn_of_eviction
from taskiq_core_brokers_redis.line import PATIENCE, Line
from taskiq_core_brokers_redis.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_result_backends_redis.coordinator import RedisCoordinator
from taskiq_core_schedule_sources_redis.change_watch import ChangeWatch

_PACKAGE: Final = __package__ or ""
_PUT = Script("put", package=_PACKAGE)
_DROP = Script("drop", package=_PACKAGE)
_PAUSE = Script("pause", package=_PACKAGE)
_LIST = Script("list", package=_PACKAGE)


class RedisScheduleSource(RedisCoordinator, ScheduleSource):
    """Schedules in Redis, for schedulers on any number of machines. One-off schedules are deleted once they have fired.

    It is a coordinator too, so that the schedulers that share it make each fire once, whatever the broker is. They hear of a
    change in milliseconds, and after one second at most once the connection is back. All methods raise `RedisError` if Redis
    cannot be reached; each may be repeated then.

    :param url: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; see the how-to for their forms.
    :param prefix: what the names of all keys begin with; it may be the broker's.
    :param connection: more keyword arguments for redis-py's `Connection`, such as `credential_provider`.
    """

    url_options: ClassVar[frozenset[str]] = CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(self, url: str = "redis://localhost:6379/0", *, prefix: str | None = None, **connection: Any) -> None:
        self.location = locate(url, prefix, connection)
        self.commands: Line | None = None
        self._watch: ChangeWatch | None = None
        self._seen: bytes | None = None
        self._reader = ScheduleReader(f"Redis at {self.location.place}")

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from a URL; `options` are keyword arguments of the class.

        :raises ConfigurationError: for a wrong URL or an unknown option in it.
        """
        options_in(url, {})
        return cls(url, **options)

    async def startup(self) -> None:
        require_asyncio("Redis")
        if self.commands is not None:
            return
        commands = Line(self.location.server, patience=PATIENCE)
        try:
            await warn_of_eviction(commands)
        except BaseException:
            await commands.close()
            raise
        self.commands = commands
        self._watch = ChangeWatch(self.location, PATIENCE)

    async def shutdown(self) -> None:
        commands, self.commands = self.commands, None
        watch, self._watch = self._watch, None
        if commands is not None:
            await commands.close()
        if watch is not None:
            await watch.close()

    async def get_schedules(self) -> list[ScheduledTask]:
        self._seen, entries = await self._run(_LIST)
        return self._reader.read((entry[1:], entry[:1] == _flag(True)) for entry in entries)

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        await self.add_schedules([schedule])

    async def add_schedules(self, schedules: Sequence[ScheduledTask]) -> None:
        if schedules:
            await self._run(_PUT, *(part for item in schedules for part in (item.schedule_id, _entry(item))))

    async def delete_schedule(self, schedule_id: str) -> None:
        await self.delete_schedules([schedule_id])

    async def delete_schedules(self, schedule_ids: Sequence[str]) -> None:
        if schedule_ids:
            await self._run(_DROP, *schedule_ids)

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        if not await self._run(_PAUSE, schedule_id, _flag(paused)):
            raise KeyError(schedule_id)

    async def wait_changed(self) -> None:
        if self._watch is None:
            raise self._not_started()
        await self._watch.wait(self._seen)

    async def post_send(self, task: ScheduledTask) -> None:
        if task.is_one_off:
            # Quietly: other schedulers know by their coordinator that it has fired, and need not read everything anew.
            await self._opened().call("HDEL", f"{self.location.root}:schedules", task.schedule_id)

    async def _run(self, script: Script, *arguments: str | bytes) -> Any:
        return await self._opened().run(script, self.location.root, *arguments)

    def _opened(self) -> Line:
        if self.commands is None:
            raise self._not_started()
        return self.commands

    def _not_started(self) -> ConfigurationError:
        reason = f"The Redis schedule source at {self.location.place} is not started: call `await source.startup()` first."
        return ConfigurationError(reason=reason)


def _entry(schedule: ScheduledTask) -> bytes:
    return _flag(schedule.paused) + body_of(schedule)


def _flag(paused: bool) -> bytes:
    """The digit before the body: what pauses a schedule changes nothing else."""
    return b"1" if paused else b"0"
