"""The queue and the results of a test: in memory, watched, and made to fail as a test orders it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, Claim, SlotLimit
from taskiq_core.abc.subscription import Subscription
from taskiq_core.brokers.inmemory import InMemoryBroker, MemorySubscription
from taskiq_core.delivery import Delivery, Settlement, StoredResult
from taskiq_core.message import BrokerMessage
from taskiq_core.records import Transition
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.testing.faults import Faults, is_dead, outlive


class WatchedQueue(InMemoryBroker):
    """Never started: only its queue is used, by the broker under test."""

    def __init__(self, faults: Faults, lease: float, accepted: Callable[[BrokerMessage], None]) -> None:
        super().__init__(lease=lease)
        self.faults = faults
        self._accepted = accepted
        self._lease_seconds = lease

    async def kick(self, message: BrokerMessage) -> None:
        await self.kick_many((message,))

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        await outlive()
        with self.faults.at("send"):
            await super().kick_many(messages)
            for message in messages:
                self._accepted(message)

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return WatchedSubscription(self, queues, self._lease_seconds)


class WatchedSubscription(MemorySubscription):
    """A worker's, until it dies; from then on nothing passes."""

    def __init__(self, broker: WatchedQueue, queues: Sequence[str], lease: float) -> None:
        super().__init__(broker, queues, lease)
        self._faults = broker.faults

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not is_dead():
            await super().__aexit__(kind, error, traceback)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        await outlive()
        with self._faults.at("receive"):
            return await super().receive(limit)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await outlive()
        with self._faults.at("settle"):
            await super().settle(settlements)

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        await outlive()
        return await super().extend(deliveries)

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        return is_dead() or super().extend_from_thread(deliveries)

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        if not is_dead():
            super().forget(deliveries)

    async def unpark(self, counts: Mapping[str, int]) -> None:
        await outlive()
        await super().unpark(counts)

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await outlive()
        await super().bury(consumer, accused)


class WatchedResults(InMemoryResultBackend[Any]):
    """Results, records and coordination."""

    def __init__(self, faults: Faults, result_ttl: float | None) -> None:
        super().__init__(result_ttl=result_ttl)
        self._faults = faults

    async def set_results(self, results: Sequence[StoredResult]) -> None:
        await outlive()
        with self._faults.at("store"):
            await super().set_results(results)

    async def record(self, transitions: Sequence[Transition]) -> None:
        await outlive()
        await super().record(transitions)

    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        await outlive()
        return await super().claim(claims)

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        await outlive()
        await super().release(claims)

    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        await outlive()
        return await super().admit(requests)

    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        await outlive()
        return await super().leave(places)

    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        await outlive()
        await super().put(entries, ttl)
