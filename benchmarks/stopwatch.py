"""Timing a worker from outside its hot path: from the first message received to the last one settled."""

from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any, Self

from benchmarks.clock import Time, between, now
from taskiq_core import AsyncBroker
from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement


class Stopwatch:
    """The time of this process between the two moments, and how many tasks lay between."""

    def __init__(self) -> None:
        self.tasks = 0
        self.laps: list[tuple[int, float]] = []
        """How many tasks were done when a batch was, and the wall time then."""
        self._begin: Time | None = None
        self._end: Time | None = None

    @classmethod
    def on(cls, broker: AsyncBroker) -> "Stopwatch":
        """One that watches every subscription that `broker` makes from now on."""
        watch, subscribe = cls(), broker.subscribe

        def timed(queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
            return _Timed(subscribe(queues, prefetch=prefetch), watch)

        broker.subscribe = timed
        return watch

    @property
    def time(self) -> Time:
        """How long it took."""
        if self._begin is None or self._end is None:
            return Time(0.0, 0.0)
        return between(self._begin, self._end)

    def received(self) -> None:
        """A batch has come."""
        self._begin = self._begin or now()

    def settled(self, count: int) -> None:
        """A batch is done."""
        self.tasks += count
        self._end = now()
        self.laps.append((self.tasks, self._end.wall))


class _Timed(Subscription):
    """A subscription with a stopwatch: one reading a batch, nothing a task."""

    def __init__(self, inner: Subscription, watch: Stopwatch) -> None:
        self._inner, self._watch = inner, watch
        self.lease = inner.lease
        self.consumer = inner.consumer
        self.extend = inner.extend
        self.extend_from_thread = inner.extend_from_thread

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._inner.__aexit__(kind, error, traceback)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        deliveries = await self._inner.receive(limit)
        if deliveries:
            self._watch.received()
        return deliveries

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self._inner.settle(settlements)
        self._watch.settled(len(settlements))

    def stores_results_of(self, backend: Any) -> bool:
        return self._inner.stores_results_of(backend)

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await self._inner.bury(consumer, accused)
