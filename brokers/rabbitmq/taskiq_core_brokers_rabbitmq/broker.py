"""The broker on RabbitMQ's queues."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self, cast
from weakref import WeakSet

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.asyncio_only import require_asyncio
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core.exceptions import ConfigurationError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.server_retries import given_up
from taskiq_core.url_options import positive_seconds
from taskiq_core_brokers_rabbitmq.admin import RabbitAdmin
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.errors import RabbitError, lost
from taskiq_core_brokers_rabbitmq.location import locate, options_in
from taskiq_core_brokers_rabbitmq.names import Names, word_of
from taskiq_core_brokers_rabbitmq.overdue import CONSUMER_TIMEOUT, warn_of_long_tasks
from taskiq_core_brokers_rabbitmq.producer import Producer
from taskiq_core_brokers_rabbitmq.publisher import Publisher
from taskiq_core_brokers_rabbitmq.subscription import RabbitSubscription
from taskiq_core_brokers_rabbitmq.topology import DELIVERY_LIMIT, QueueType, Topology

_SECONDS = {"send_timeout", "heartbeat", "consumer_timeout"}
_PAUSE = 0.25
"""Seconds between two tries to reach RabbitMQ at the start."""
_MOST_PATIENCE = 5.0
"""Seconds without an answer after which a connection is given up."""


class RabbitBroker(AsyncBroker):
    """Queues in a virtual host of RabbitMQ, for any number of producers and workers.

    :param url: `amqp://user:password@host:5672/vhost`, or `amqps://` for TLS.
    :param prefix: what the names of all queues and exchanges begin with; two brokers with different ones share nothing.
    :param queue_type: "quorum" or "classic"; None: quorum queues where the server has them as we need them (3.10).
    :param delivery_limit: how often a message may come back because its holder was lost; then it goes to the dead letters;
        100 if not given. Quorum queues alone have it.
    :param send_timeout: seconds within which a send is accepted, refused, or of unknown outcome.
    :param heartbeat: seconds without a sign of life after which a connection is given up.
    :param consumer_timeout: seconds of the option of this name in rabbitmq.conf, near which the worker warns.
    """

    capabilities = (
        Capability.ACK
        | Capability.DURABLE
        | Capability.DELAY
        | Capability.PRIORITY
        | Capability.QUEUES
        | Capability.DEAD_LETTER
        | Capability.EVACUATE
        | Capability.BATCH
        | Capability.CROSS_PROCESS
    )

    url_options: ClassVar[frozenset[str]] = frozenset({*_SECONDS, "queue_type", "delivery_limit"})
    """What the query of a URL may say about the broker."""

    def __init__(
        self,
        url: str = "amqp://localhost/",
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        prefix: str | None = None,
        queue_type: QueueType | None = None,
        delivery_limit: int | None = None,
        send_timeout: float = SEND_TIMEOUT,
        heartbeat: float = 10.0,
        consumer_timeout: float = CONSUMER_TIMEOUT,
    ) -> None:
        super().__init__(result_backend, task_id_generator)
        self.location = locate(url, prefix)
        self.send_timeout = positive_seconds("send_timeout", send_timeout)
        self._heartbeat = positive_seconds("heartbeat", heartbeat)
        self._consumer_timeout = positive_seconds("consumer_timeout", consumer_timeout)
        self._patience = min(_MOST_PATIENCE, 0.6 * self.send_timeout)
        if self._heartbeat < 1:
            raise ConfigurationError(reason=f"heartbeat is 1 second or more, not {heartbeat}: AMQP counts whole seconds.")
        if queue_type not in {None, "quorum", "classic"}:
            raise ConfigurationError(reason=f"queue_type is quorum or classic, not {queue_type!r}.")
        if queue_type == "classic" and delivery_limit is not None:
            raise ConfigurationError(reason="classic queues have no delivery_limit: leave it out, or use queue_type=quorum.")
        if delivery_limit is not None and delivery_limit < 1:
            raise ConfigurationError(reason=f"delivery_limit is 1 or more, not {delivery_limit}.")
        self.topology = Topology(Names(self.location.prefix), queue_type, delivery_limit or DELIVERY_LIMIT, self._patience)
        self.connector: Connector | None = None
        self._producer: Producer | None = None
        self._publisher: Publisher | None = None
        self._subscriptions = WeakSet[RabbitSubscription]()
        self._admin = RabbitAdmin(self._started, partial(self._connect, "admin"), self.topology, self._held)
        self.admin: QueueAdmin | None = self._admin

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        in_url = options_in(url, cls.url_options)
        found: dict[str, Any] = {name: positive_seconds(name, value) for name, value in in_url.items() if name in _SECONDS}
        if "queue_type" in in_url:
            found["queue_type"] = cast("QueueType", in_url["queue_type"])
        if "delivery_limit" in in_url:
            found["delivery_limit"] = _number("delivery_limit", in_url["delivery_limit"])
        return cls(url, **{**found, **options})

    async def startup(self) -> None:
        require_asyncio("RabbitMQ")
        if self._producer is None or self.home is None:
            if self.connector is not None:
                self.connector.close()
            self.connector = self._connect("sender")
            await self.reaches(partial(self._reach, self.connector))
            self._publisher = Publisher(self.connector, self.topology, self._patience, self._limited)
            self._producer = Producer(self._publisher, self.send_timeout)
        await super().startup()

    def _connect(self, role: str) -> Connector:
        return Connector(self.location, f"taskiq {role}", patience=self._patience, heartbeat=self._heartbeat)

    async def _reach(self, connector: Connector) -> None:
        """Connect, for as long as a send tries: a program may start a moment before its RabbitMQ."""
        failure: RabbitError | None = None
        try:
            async with asyncio.timeout(self.send_timeout):
                while True:
                    try:
                        await connector.link()
                    except RabbitError as error:
                        if not error.passing:
                            raise
                        failure = error
                    else:
                        return
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            found = failure or lost(self.location.server, f"no answer for {self.send_timeout:g} s", certain=True)
            raise given_up(found, self.send_timeout) from failure

    async def shutdown(self) -> None:
        try:
            await super().shutdown()
        finally:
            connector, self.connector = self.connector, None
            self._admin.close()
            self._producer = self._publisher = None
            if connector is not None:
                connector.close()

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        if self._producer is None or self.home is None:
            reason = (
                "the RabbitMQ broker is not started in this process: call `await broker.startup()` first, also after a fork."
            )
            raise SendTaskError(reason=reason, outcome="refused")
        await self._producer.send(messages)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        for queue in queues:
            word_of(queue)
        limit = self._consumer_timeout
        subscription = RabbitSubscription(self._connect("worker"), self.topology, self._started(), queues, limit)
        warn_of_long_tasks(limit, self.get_all_tasks().values())
        self._subscriptions.add(subscription)
        return subscription

    def _started(self) -> Publisher:
        if self._publisher is None:
            raise RabbitError(reason="the RabbitMQ broker is not started: call `await broker.startup()` first.")
        return self._publisher

    def _limited(self, size: int) -> None:
        self.max_message_size = min(self.max_message_size, size)

    def _held(self, queue: str) -> int:
        return sum(subscription.held(queue) for subscription in self._subscriptions)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(reason=f"{name} is a whole number, not {text!r}.")
    return int(text)
