"""The broker on PostgreSQL's tables."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Final, Self

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_LEASE, SEND_TIMEOUT
from taskiq_core.exceptions import MessageHeldUpError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import patience_for
from taskiq_core.url_options import flag, positive_seconds
from taskiq_core_brokers_postgres.admin import PostgresAdmin
from taskiq_core_brokers_postgres.bell import Bell
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.location import CONNECTION_OPTIONS, locate, options_in
from taskiq_core_brokers_postgres.opening import open_tables
from taskiq_core_brokers_postgres.owner import OwnsTables
from taskiq_core_brokers_postgres.producer import INSTALLATION, Producer
from taskiq_core_brokers_postgres.subscription import PostgresSubscription
from taskiq_core_brokers_postgres.transactions import enlist

_OPTIONS: Final = {
    **dict.fromkeys(("lease", "send_timeout", "poll_interval", "dead_ttl"), positive_seconds),
    "migrate": flag,
}
_MOST_PATIENCE = 5.0
"""Seconds without an answer after which a connection is given up."""
_CLOSING = 0.5
"""Seconds for tidying up at the end."""


class PostgresBroker(OwnsTables, AsyncBroker):
    """Queues in tables of a PostgreSQL database, for any number of producers and workers.

    :param url: `postgresql://user:password@host:5432/database`.
    :param schema: the schema that holds the tables; two brokers with different ones share nothing.
    :param lease: seconds until what a worker holds goes to others, if the worker is gone.
    :param send_timeout: seconds within which a send is accepted, refused, or of unknown outcome.
    :param poll_interval: seconds after which a waiting worker looks for itself, should no notification have woken it.
    :param dead_ttl: seconds that a dead letter is kept; None for ever.
    :param migrate: make or upgrade the tables at the start; False refuses to start on tables of another version.
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
        | Capability.JOINT_SETTLE
        | Capability.IDEMPOTENT_SEND
        | Capability.PARK
        | Capability.DISCARD
        | Capability.EVACUATE
        | Capability.TRANSACTIONS
        | Capability.CROSS_PROCESS
    )

    url_options: ClassVar[frozenset[str]] = frozenset(_OPTIONS) | CONNECTION_OPTIONS
    """What the query of a URL may say about the broker."""

    def __init__(
        self,
        url: str = "postgresql://localhost/postgres",
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        schema: str | None = None,
        lease: float = DEFAULT_LEASE,
        send_timeout: float = SEND_TIMEOUT,
        poll_interval: float = 1.0,
        dead_ttl: float | None = None,
        migrate: bool = True,
    ) -> None:
        super().__init__(result_backend, task_id_generator)
        self.location = locate(url, schema)
        self.send_timeout = positive_seconds("send_timeout", send_timeout)
        self._lease = positive_seconds("lease", lease)
        self._poll_interval = positive_seconds("poll_interval", poll_interval)
        self._dead_ttl = None if dead_ttl is None else positive_seconds("dead_ttl", dead_ttl)
        self._migrate = migrate
        patience = patience_for(_MOST_PATIENCE, send_timeout=self.send_timeout, lease=self._lease)
        self._database = Database(self.location, patience)
        self._bell = Bell(self._database)
        self._producer: Producer | None = None
        self._installation: str | None = None
        self.admin: QueueAdmin | None = PostgresAdmin(self._database)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        return cls(url, **{**options_in(url, _OPTIONS), **options})

    async def startup(self) -> None:
        if self._producer is None or self.home is None:
            await open_tables(self._database, self.send_timeout, migrate=self._migrate)
            self._installation = (await self._database.fetch(INSTALLATION))[0][0]
            self._producer = Producer(self._database, self.send_timeout)
        await super().startup()

    async def shutdown(self) -> None:
        try:
            await super().shutdown()
        finally:
            producer, self._producer = self._producer, None
            await self._bell.close()
            if producer is not None:
                await producer.close(_CLOSING)
            await self._database.close()

    async def kick(self, message: BrokerMessage) -> None:
        deadline = clock.monotonic() + self.send_timeout
        try:
            await super().kick(message)
        except MessageHeldUpError as error:
            # Out of the line in which others wait behind it.
            await self._started().send_when_free(message, deadline - clock.monotonic(), error)

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        await self._started().send(messages)

    def _started(self) -> Producer:
        if self._producer is None or self.home is None:
            reason = (
                "the PostgreSQL broker is not started in this process: call `await broker.startup()` first, also after a fork."
            )
            raise SendTaskError(reason=reason, outcome="refused")
        return self._producer

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        """See `AsyncBroker`. Takes connections of asyncpg, psycopg 3 and SQLAlchemy, and SQLAlchemy's sessions."""
        return enlist(connection, self.location, self._installation, messages)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return PostgresSubscription(
            self._database,
            self._bell,
            queues,
            lease=self._lease,
            poll_interval=self._poll_interval,
            dead_ttl=self._dead_ttl,
        )
