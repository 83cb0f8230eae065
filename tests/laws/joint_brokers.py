"""Brokers that settle and store in one step: an honest one, and liars."""

from collections.abc import Sequence
from typing import Any

import anyio
from lying_brokers import SubscribingBroker

from taskiq_core.brokers.inmemory import InMemoryBroker, MemorySubscription
from taskiq_core.capability import Capability
from taskiq_core.delivery import Settlement
from taskiq_core.result_backends.inmemory import InMemoryResultBackend


class JointBroker(SubscribingBroker):
    """Honest: result and acknowledgement in one step, as nothing suspends in between."""

    capabilities = InMemoryBroker.capabilities | Capability.JOINT_SETTLE


class Joint(MemorySubscription):
    def stores_results_of(self, backend: Any) -> bool:
        return backend is self._broker.result_backend

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        backend = self._broker.result_backend
        assert isinstance(backend, InMemoryResultBackend)
        await backend.set_results([item.result for item in settlements if item.result is not None])
        await super().settle(settlements)


class AcksBeforeSaving(Joint):
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await MemorySubscription.settle(self, settlements)
        await anyio.sleep(0.002)
        await super().settle(settlements)


class SavesNothing(Joint):
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await MemorySubscription.settle(self, settlements)


JointBroker.subscription = Joint
