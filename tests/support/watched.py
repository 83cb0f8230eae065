"""An in-memory broker that writes down what the worker settles."""

from collections.abc import Sequence
from typing import Any

import anyio

from taskiq_core import InMemoryBroker, Settlement, Subscription
from taskiq_core.brokers.inmemory import MemorySubscription


class WatchedSubscription(MemorySubscription):
    """Writes down what the worker settles."""

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await super().settle(settlements)
        self._broker.settled.extend(settlements)  # type: ignore[attr-defined]
        self._broker.wake()


class WatchedBroker(InMemoryBroker):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.settled: list[Settlement] = []

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return WatchedSubscription(self, queues, self._lease)

    async def first_verdict(self) -> Settlement:
        with anyio.fail_after(10):
            while not self.settled:
                await self.changed(None)
        return self.settled[0]
