"""Schedules in NATS."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from taskiq_core.abc.coordinator import Claim, ClaimStore
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.exceptions import ConfigurationError
from taskiq_core.schedule import ScheduledTask
from taskiq_core.stored_schedules import ScheduleReader, body_of, schedule_of
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.location import CONNECTION_OPTIONS, copies, locate, options_in
from taskiq_core_result_backends_nats.bucket import Bucket
from taskiq_core_schedule_sources_nats.change_watch import ChangeWatch
from taskiq_core_schedule_sources_nats.claims import BucketClaims

_PATIENCE: Final = 3.0
"""Seconds without a sign of life from NATS after which a connection is given up."""


class _Opened:
    """What there is between `startup` and `shutdown`."""

    def __init__(self, connection: Connection, prefix: str, replicas: int) -> None:
        self.connection = connection
        self.schedules = Bucket(connection, f"{prefix}_schedules", replicas=replicas)
        self.claims = BucketClaims(connection, f"{prefix}_schedules", replicas)
        self.watch = ChangeWatch(connection, self.schedules, f"{prefix}.told.schedules")


class NatsScheduleSource(ClaimStore, ScheduleSource):
    """Schedules in NATS, for schedulers on any number of machines. One-off schedules are deleted once they have fired.

    It keeps the schedulers' claims too, so that those that share it make each fire once, whatever the broker is. They hear of
    a change in milliseconds, and after one second at most once the connection is back. All methods raise `NatsError` if NATS
    cannot be reached; each may be repeated then.

    :param url: `nats://` or `tls+nats://`; see the how-to for their forms.
    :param prefix: what the names of all buckets begin with; it may be the broker's.
    :param replicas: on how many servers of a cluster the buckets are kept that are made from now on, 1 to 5.
    """

    url_options: ClassVar[frozenset[str]] = frozenset({"replicas"}) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(self, url: str = "nats://localhost:4222", *, prefix: str | None = None, replicas: int = 1) -> None:
        self.location = locate(url, prefix)
        self._replicas = copies("replicas", replicas)
        self._opened: _Opened | None = None
        self._seen = 0
        self._reader = ScheduleReader(f"NATS at {self.location.place}")

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Build from a URL; `options` are keyword arguments of the class.

        :raises ConfigurationError: for a wrong URL or an unknown option in it.
        """
        return cls(url, **{**options_in(url, {"replicas": copies}), **options})

    async def startup(self) -> None:
        if self._opened is not None:
            return
        connection = Connection(self.location, _PATIENCE)
        await connection.open(_PATIENCE)
        opened = _Opened(connection, self.location.prefix, self._replicas)
        try:
            await opened.claims.sweep()
        except BaseException:
            await connection.close()
            raise
        self._opened = opened

    async def shutdown(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.connection.close()

    # -- schedules ------------------------------------------------------------------------------------------------------------

    async def get_schedules(self) -> list[ScheduledTask]:
        bucket = self._open().schedules
        self._seen = await self._open().watch.revision()
        subjects = [subject for subject in await bucket.subjects() if subject != bucket.mark]
        return self._reader.read((entry.value, None) for entry in (await bucket.at(subjects)).values())

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        await self.add_schedules([schedule])

    async def add_schedules(self, schedules: Sequence[ScheduledTask]) -> None:
        if schedules:
            await self._changed({item.schedule_id: body_of(item) for item in schedules})

    async def delete_schedule(self, schedule_id: str) -> None:
        await self.delete_schedules([schedule_id])

    async def delete_schedules(self, schedule_ids: Sequence[str]) -> None:
        if schedule_ids:
            await self._open().schedules.purge(schedule_ids)
            await self._changed({})

    async def set_paused(self, schedule_id: str, paused: bool) -> None:
        bucket = self._open().schedules
        replaced = False
        while not replaced:
            found = await bucket.get([schedule_id])
            if schedule_id not in found:
                raise KeyError(schedule_id)
            before = found[schedule_id]
            after = schedule_of(before.value).model_copy(update={"paused": paused})
            (replaced,) = await bucket.replace([(schedule_id, body_of(after), before.revision)])
        await self._changed({})

    async def wait_changed(self) -> None:
        await self._open().watch.wait(self._seen)

    async def post_send(self, task: ScheduledTask) -> None:
        if task.is_one_off:
            # Quietly: other schedulers know by their claims that it has fired, and need not read everything anew.
            await self._open().schedules.purge([task.schedule_id])

    async def _changed(self, values: Mapping[str, bytes]) -> None:
        await self._open().schedules.put(values, mark=True)
        await self._open().watch.tell()

    # -- claims ---------------------------------------------------------------------------------------------------------------

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        return await self._open().claims.claim(claims)

    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        return await self._open().claims.holders(keys)

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await self._open().claims.release(claims)

    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        return await self._open().claims.add(amounts, ttl)

    async def forget(self, keys: Sequence[str]) -> None:
        await self._open().claims.forget(keys)

    def _open(self) -> _Opened:
        if self._opened is None:
            reason = f"The NATS schedule source at {self.location.place} is not started: call `await source.startup()` first."
            raise ConfigurationError(reason=reason)
        return self._opened
