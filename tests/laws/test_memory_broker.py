"""The in-memory broker keeps the laws."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from taskiq_core.brokers.inmemory import InMemoryBroker
from taskiq_core.testing import BrokerContract


class TestMemoryBroker(BrokerContract):
    pause_delay = 0.0

    @asynccontextmanager
    async def fresh_store(self) -> AsyncGenerator[Callable[[], InMemoryBroker], None]:
        yield lambda: InMemoryBroker(lease=self.lease)
