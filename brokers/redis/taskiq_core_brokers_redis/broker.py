"""The broker on Redis streams."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Self

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.asyncio_only import require_asyncio
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_LEASE, SEND_TIMEOUT
from taskiq_core.exceptions import SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import patience_for, reach
from taskiq_core.url_options import positive_seconds
from taskiq_core_brokers_redis.admin import RedisAdmin
from taskiq_core_brokers_redis.errors import lost
from taskiq_core_brokers_redis.eviction import warn_of_eviction
from taskiq_core_brokers_redis.line import PATIENCE, Line
from taskiq_core_brokers_redis.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_redis.producer import Producer
from taskiq_core_brokers_redis.subscription import RedisSubscription

_OPTIONS: Final = {
    "lease": positive_seconds,
    "send_timeout": positive_seconds,
    "dead_ttl": positive_seconds,
}


class RedisBroker(AsyncBroker):
    """Queues in Redis streams, for any number of producers and workers.

    :param url: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`; see the how-to for their forms.
    :param prefix: what the names of all keys begin with; two brokers with different ones share nothing.
    :param lease: seconds until what a worker holds goes to others, if the worker is gone.
    :param send_timeout: seconds within which a send is accepted, refused, or of unknown outcome.
    :param dead_ttl: seconds that a dead letter is kept; None for ever.
    :param connection: more keyword arguments for redis-py's `Connection`, such as `credential_provider`.
    """

    capabilities = (
        Capability.ACK
        | Capability.DURABLE
        | Capability.LEASE
        | Capability.DELAY
        | Capability.PRIORITY
        | Capability.QUEUES
        | Capability.DEAD_LETTER
        | Capability.BATCH
        | Capability.IDEMPOTENT_SEND
        | Capability.JOINT_SETTLE
        | Capability.PARK
        | Capability.DISCARD
        | Capability.EVACUATE
        | Capability.CROSS_PROCESS
    )

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        prefix: str | None = None,
        lease: float = DEFAULT_LEASE,
        send_timeout: float = SEND_TIMEOUT,
        dead_ttl: float | None = None,
        **connection: Any,
    ) -> None:
        super().__init__(result_backend, task_id_generator)
        self.location = locate(url, prefix, connection)
        self.send_timeout = positive_seconds("send_timeout", send_timeout)
        self._dead_ttl = None if dead_ttl is None else positive_seconds("dead_ttl", dead_ttl)
        self._lease = positive_seconds("lease", lease)
        self._patience = patience_for(PATIENCE, send_timeout=self.send_timeout, lease=self._lease)
        self._commands = Line(self.location.server, patience=self._patience)
        self._producer: Producer | None = None
        self.admin: QueueAdmin | None = RedisAdmin(self._commands, self.location.root, self._dead_ttl)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        require_asyncio("Redis")
        if self._producer is None or self.home is None:
            await self._commands.close()
            await self.reaches(self._reach)
            self._producer = Producer(self._commands, self.location.root, self.send_timeout)
        await super().startup()

    async def _reach(self) -> None:
        silence = lost(self.location.server.place, f"no answer for {self.send_timeout:g} s", certain=True)
        await reach(lambda: warn_of_eviction(self._commands), self.send_timeout, silence)

    async def shutdown(self) -> None:
        try:
            await super().shutdown()
        finally:
            if self._producer is not None:
                self._producer.close()
            self._producer = None
            await self._commands.close()

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if self._producer is None:
            reason = "the Redis broker is not started: call `await broker.startup()` first."
            raise SendTaskError(reason=reason, outcome="refused")
        await self._producer.send(messages)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return RedisSubscription(
            self.location, self._commands, queues, lease=self._lease, patience=self._patience, dead_ttl=self._dead_ttl
        )
