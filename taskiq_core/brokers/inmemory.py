"""A broker in this process: a real queue that the real worker works through."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.background import BackgroundTask
from taskiq_core.broker import AsyncBroker
from taskiq_core.brokers.memory_admin import MemoryAdmin
from taskiq_core.brokers.memory_queue import ALL_QUEUES, MemoryQueue
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_CONCURRENCY, DEFAULT_LEASE
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.events import TaskiqEvents
from taskiq_core.exceptions import BrokerError, ConfigurationError, SendTaskError, UnknownTaskError
from taskiq_core.message import BrokerMessage, TaskiqMessage
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.url_options import positive_seconds
from taskiq_core.worker import Worker, WorkerSettings


class InMemoryBroker(AsyncBroker):
    """For tests, development and small tools: between `startup()` and `shutdown()` a worker runs in the background.

    Nothing survives the process. Messages and results are serialised as on any other broker.

    :param await_inplace: `kiq` returns when the task has ended, is delayed or held back by a limit, or waits in a paused queue.
        A task that sends waits for what it sends, so it takes `max_async_tasks` of at least the depth of such calls.
    :param max_async_tasks: how many tasks run at once.
    :param max_stored_results: results beyond that many push the oldest out.
    :param lease: seconds; matters only to subscriptions of your own.
    :param dead_ttl: seconds that dead letters are kept; None: for ever.
    """

    capabilities = (
        Capability.ACK
        | Capability.LEASE
        | Capability.DELAY
        | Capability.PRIORITY
        | Capability.QUEUES
        | Capability.DEAD_LETTER
        | Capability.BATCH
        | Capability.IDEMPOTENT_SEND
        | Capability.PARK
        | Capability.DISCARD
        | Capability.EVACUATE
    )

    def __init__(
        self,
        result_backend: AsyncResultBackend[Any] | None = None,
        task_id_generator: Callable[[], str] | None = None,
        *,
        await_inplace: bool = False,
        max_async_tasks: int = DEFAULT_CONCURRENCY,
        max_stored_results: int = 100_000,
        lease: float = DEFAULT_LEASE,
        dead_ttl: float | None = None,
    ) -> None:
        backend = result_backend or InMemoryResultBackend(max_stored_results=max_stored_results)
        super().__init__(backend, task_id_generator)
        self.queue = MemoryQueue(None if dead_ttl is None else positive_seconds("dead_ttl", dead_ttl))
        self.admin: QueueAdmin | None = MemoryAdmin(self.queue, self.wake)
        self._lease = lease
        self._await_inplace = await_inplace
        self._max_async_tasks = max_async_tasks
        self._waiters: dict[anyio.Event, None] = {}
        self._worker: Worker | None = None
        self._running: BackgroundTask | None = None

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """`memory://`; takes the constructor's keywords."""
        if url.partition("://")[2]:
            raise ConfigurationError(reason=f"memory:// takes nothing after it, got {url!r}.")
        return cls(**options)

    async def startup(self) -> None:
        """Start, with a worker in the background unless this is a worker process already."""
        if self.home is not None:
            return
        await super().startup()
        if not self.is_worker_process:
            settings = WorkerSettings(queues=ALL_QUEUES, concurrency=self._max_async_tasks)
            self._worker = Worker(self, settings)
            self._worker.check()
            self._running = BackgroundTask(self._worker.serve, "in-memory worker")

    async def shutdown(self) -> None:
        """Let running tasks end within the worker's grace, then stop."""
        if self._worker is not None and self._running is not None:
            self._worker.stop()
            await self._running.wait(self._worker.settings.grace + 2)
            self._worker = self._running = None
        await super().shutdown()

    async def _fire(self, event: TaskiqEvents) -> None:
        await super()._fire(event)
        if not self.is_worker_process:
            # Client and worker are one process here.
            both = {
                TaskiqEvents.CLIENT_STARTUP: TaskiqEvents.WORKER_STARTUP,
                TaskiqEvents.CLIENT_SHUTDOWN: TaskiqEvents.WORKER_SHUTDOWN,
            }
            await super()._fire(both[event])

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        """As everywhere; a task that this process does not know is refused, for nobody else will ever run it.

        :raises SendTaskError: from `UnknownTaskError` then.
        """
        for message in messages:
            if self.find_task(message.task_name) is None:
                error = UnknownTaskError(task_name=message.task_name)
                raise SendTaskError(task_name=message.task_name, reason=str(error), outcome="refused") from error
        await super().send(messages)
        if self._await_inplace:
            # Here and not where they are queued: there, others who send would wait too.
            while any(self.queue.works_on(message.task_id) for message in messages):
                await self.next_change()

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        """Into the queue.

        :raises BrokerError: if the background worker has died, for then nobody would run them.
        """
        if self._running is not None and self._running.error is not None:
            raise BrokerError(reason=f"the in-memory worker has ended after an error: {self._running.error!r}")
        self.queue.add(messages)
        self.wake()

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        """A subscription of its own; the background worker has one too."""
        return MemorySubscription(self, queues, self._lease)

    async def wait_all(self) -> None:
        """Wait until nothing is queued, held back by a limit, or running; the delayed and paused queues do not count."""
        while self.queue.busy:
            await self.next_change()

    def wake(self) -> None:
        """Something has changed: let everybody look."""
        waiters, self._waiters = self._waiters, {}
        for event in waiters:
            event.set()

    async def next_change(self) -> None:
        """Wait for the next `wake`, or until a delayed message is due or a lease has ended."""
        await self.changed(self.queue.next_event())
        if self.queue.expire():
            self.wake()

    async def changed(self, timeout: float | None) -> None:
        """Wait for the next `wake`, `timeout` seconds at most (None: as long as it takes)."""
        event = anyio.Event()
        self._waiters[event] = None
        try:
            with anyio.move_on_after(timeout):
                await event.wait()
        finally:
            self._waiters.pop(event, None)


class MemorySubscription(Subscription):
    """One holder of messages."""

    def __init__(self, broker: InMemoryBroker, queues: Sequence[str], lease: float) -> None:
        self._broker = broker
        self._queues = queues
        self.lease = lease
        self.consumer = uuid.uuid4().hex

    async def __aenter__(self) -> Self:
        self._broker.queue.receivers[self.consumer] = self._queues
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._broker.queue.release_all(self.consumer)
        self._broker.wake()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        queue, broker = self._broker.queue, self._broker
        assert self.lease is not None
        while True:
            deliveries = queue.take(self._queues, limit, self.consumer, self.lease)
            if deliveries:
                return deliveries
            await broker.next_change()

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        self._broker.queue.settle(settlements, self.consumer)
        self._broker.wake()

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        assert self.lease is not None
        return self._broker.queue.extend(deliveries, self.consumer, self.lease)

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        self._broker.queue.forget(deliveries, self.consumer)

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        assert self.lease is not None
        self._broker.queue.extend(deliveries, self.consumer, self.lease)
        return True

    async def unpark(self, counts: Mapping[str, int]) -> None:
        self._broker.queue.unpark(counts)
        self._broker.wake()

    def stop_receiving(self) -> None:
        self._broker.queue.receivers.pop(self.consumer, None)

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        self._broker.queue.bury(consumer, accused)
        self._broker.wake()
