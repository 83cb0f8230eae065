"""The broker on JetStream's streams."""

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
from taskiq_core.server_retries import patience_for
from taskiq_core.url_options import positive_seconds
from taskiq_core_brokers_nats.admin import NatsAdmin
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import Cemetery
from taskiq_core_brokers_nats.location import CONNECTION_OPTIONS, copies, locate, options_in
from taskiq_core_brokers_nats.producer import OVERHEAD, Producer
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.subscription import NatsSubscription
from taskiq_core_brokers_nats.topology import Topology

_OPTIONS: Final = {"lease": positive_seconds, "send_timeout": positive_seconds, "replicas": copies}
_MOST_PATIENCE = 5.0
"""Seconds without a sign of life after which a connection is given up."""


class NatsBroker(AsyncBroker):
    """Queues in a work-queue stream of NATS JetStream, for any number of producers and workers.

    :param url: `nats://user:password@host:4222`, or `tls+nats://` for TLS; more servers of the cluster after commas.
    :param prefix: what names of streams and subjects begin with; two brokers with different ones share nothing.
    :param lease: seconds until what a worker holds goes to others, if the worker is gone.
    :param send_timeout: seconds within which a send is accepted, refused, or of unknown outcome.
    :param replicas: how many servers of a cluster keep each message, where this broker is the first to make the streams.
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
        | Capability.EVACUATE
        | Capability.CROSS_PROCESS
    )

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say."""

    def __init__(
        self,
        url: str = "nats://localhost:4222",
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        prefix: str | None = None,
        lease: float = DEFAULT_LEASE,
        send_timeout: float = SEND_TIMEOUT,
        replicas: int = 1,
    ) -> None:
        super().__init__(result_backend, task_id_generator)
        self.location = locate(url, prefix)
        self.send_timeout = positive_seconds("send_timeout", send_timeout)
        self._lease = positive_seconds("lease", lease)
        patience = patience_for(_MOST_PATIENCE, send_timeout=self.send_timeout, lease=self._lease)
        self._connection = Connection(self.location, patience)
        self._topology = Topology(self._connection, copies("replicas", replicas))
        self._state = State(self._connection, self._topology.names)
        self._cemetery = Cemetery(self._connection, self._topology.names)
        self._producer: Producer | None = None
        self._own_limit = self.max_message_size
        self.admin: QueueAdmin | None = NatsAdmin(self._connection, self._topology, self._state, self._cemetery, self._lease)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        require_asyncio("NATS")
        if self._producer is None or self.home is None:
            if not await self.reaches(self._open):
                self._connection.begin()
            self._state.forget()
            self._producer = Producer(self._connection, self._topology, self._state, self.send_timeout)
        await super().startup()

    async def _open(self) -> None:
        await self._connection.open(self.send_timeout)
        try:
            await self._topology.ensure()
        except BaseException:
            await self._connection.close()
            raise
        link = await self._connection.usable()
        self.max_message_size = min(self._own_limit, link.max_payload - OVERHEAD)

    async def shutdown(self) -> None:
        try:
            await super().shutdown()
        finally:
            self._producer = None
            await self._connection.close()

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if self._producer is None or self.home is None:
            reason = "the NATS broker is not started in this process: call `await broker.startup()` first, also after a fork."
            raise SendTaskError(reason=reason, outcome="refused")
        if messages:
            await self._producer.send(messages)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return NatsSubscription(self._connection, self._topology, self._state, self._cemetery, queues, lease=self._lease)
