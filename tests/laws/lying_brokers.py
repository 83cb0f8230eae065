"""Brokers that are each wrong in one way: what the contract suite is there to find."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core.abc.subscription import Subscription
from taskiq_core.brokers.inmemory import InMemoryBroker, MemorySubscription
from taskiq_core.capability import Capability
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage


class SubscribingBroker(InMemoryBroker):
    """The in-memory broker with another kind of subscription."""

    subscription: type[MemorySubscription] = MemorySubscription

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription:
        return self.subscription(self, queues, self._lease)


def lying(name: str, liar: type[MemorySubscription], **more: Any) -> type[InMemoryBroker]:
    """A broker whose subscriptions lie."""
    return type(name, (SubscribingBroker,), {"subscription": liar, **more})


def claiming(flag: Capability) -> type[InMemoryBroker]:
    """A broker that claims what memory cannot have."""
    return type(f"Claims{flag.name}", (InMemoryBroker,), {"capabilities": InMemoryBroker.capabilities | flag})


# -- receiving -----------------------------------------------------------------------------------------------------------------


class LosesOnCancel(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        await anyio.lowlevel.checkpoint()
        return taken


class DoublesOnCancel(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException:
            self._broker.queue.add([BrokerMessage(new_task_id(), "", item.body) for item in taken])
            await super().settle([Settlement(item, Verdict.RELEASE) for item in taken])
            raise
        return taken


class Doubles(MemorySubscription):
    last: Sequence[Delivery] = ()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        if self.last:
            again, self.last = self.last, ()
            return [replace(again[0])]
        self.last = await super().receive(limit)
        return self.last


class ExceedsLimit(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        return await super().receive(limit + 1)


class NeverWoken(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = self._broker.queue.take(self._queues, limit, self.consumer, self.lease or 0)
        if not taken:
            await anyio.sleep_forever()
        return taken


class AcksOnReceive(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        await self.settle([Settlement(item, Verdict.ACK) for item in taken])
        return taken


class SharesWithAll(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        self._broker.queue.add([BrokerMessage(new_task_id(), "", item.body) for item in taken if item.attempt == 1])
        return taken


class CountsWrong(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        return [replace(item, attempt=1) for item in await super().receive(limit)]

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        for item in settlements:
            item.delivery.attempt = item.delivery.receipt.attempt
        await super().settle(settlements)


# -- leaving and leases --------------------------------------------------------------------------------------------------------


class KeepsOnLeave(MemorySubscription):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class KeepsOnCancelledLeave(MemorySubscription):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await anyio.lowlevel.checkpoint()
        await super().__aexit__(kind, error, traceback)


class IgnoresLease(MemorySubscription):
    factor = 1000.0

    async def receive(self, limit: int) -> Sequence[Delivery]:
        said = self.lease or 0.0
        self.lease = said * self.factor
        try:
            return await super().receive(limit)
        finally:
            self.lease = said


class EndsLeaseEarly(IgnoresLease):
    factor = 0.3


class NeverExtends(MemorySubscription):
    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return ()


class ExtendsAll(MemorySubscription):
    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        return [item for item in await super().extend(list(self.taken)) if item in deliveries]

    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        self.taken = [*getattr(self, "taken", ()), *taken]
        return taken


class HidesTheLost(MemorySubscription):
    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        await super().extend(deliveries)
        return ()


class PretendsToExtendFromThread(MemorySubscription):
    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        return True


class LetsTheDeadSettle(MemorySubscription):
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        for item in settlements:
            entry = item.delivery.receipt
            if entry.holder:
                current = replace(item, delivery=replace(item.delivery, attempt=entry.attempt))
                self._broker.queue.settle([current], entry.holder)


class CountsNoDeaths(MemorySubscription):
    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await super().receive(limit)
        for item in taken:
            item.deaths = 0
        return taken


class BuriesNobody(MemorySubscription):
    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await anyio.lowlevel.checkpoint()


class AccusesNobody(MemorySubscription):
    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await super().bury(consumer, ())


class HasNoLease(MemorySubscription):
    async def __aenter__(self) -> Any:
        self.lease = None
        return self


class BlamesForTheForgotten(MemorySubscription):
    def forget(self, deliveries: Sequence[Delivery]) -> None:
        return


class ForgetsAll(MemorySubscription):
    def forget(self, deliveries: Sequence[Delivery]) -> None:
        for entry in self._broker.queue._held[self.consumer]:
            entry.forgotten = True


class LosesTheForgotten(MemorySubscription):
    def forget(self, deliveries: Sequence[Delivery]) -> None:
        for item in deliveries:
            self._broker.queue._held[self.consumer].pop(item.receipt, None)


# -- settling ------------------------------------------------------------------------------------------------------------------


class ForgetsVerdicts(MemorySubscription):
    """`alter` makes another verdict, or none, of each."""

    def alter(self, item: Settlement) -> Settlement | None:
        raise NotImplementedError

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        altered = [self.alter(item) for item in settlements]
        await super().settle([item for item in altered if item is not None])


class ReleaseWaitsForTheLease(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return None if item.verdict is Verdict.RELEASE else item


class DropsNewBodies(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, body=None)


class RetriesAtOnce(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, delay=None)


class NeverAcks(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return None if item.verdict is Verdict.ACK else item


class DropsTheRejected(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, verdict=Verdict.ACK) if item.verdict is Verdict.REJECT else item


class DropsReasons(ForgetsVerdicts):
    def alter(self, item: Settlement) -> Settlement | None:
        return replace(item, reason=None)


class SettlesTwice(MemorySubscription):
    async def settle(self, settlements: Sequence[Settlement]) -> None:
        for item in settlements:
            if item.delivery.receipt.holder != self.consumer and item.verdict is Verdict.RETRY:
                self._broker.queue.add([BrokerMessage(new_task_id(), "", item.body or item.delivery.body)])
        await super().settle(settlements)


# -- sending -------------------------------------------------------------------------------------------------------------------


class AltersMessages(InMemoryBroker):
    """`alter` makes another message of each."""

    def alter(self, message: BrokerMessage) -> BrokerMessage:
        raise NotImplementedError

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        await super().kick_many([self.alter(message) for message in messages])


def altering(name: str, **changes: Any) -> type[InMemoryBroker]:
    """A broker that sends something else: values, or functions of the message."""

    def alter(self: Any, message: BrokerMessage) -> BrokerMessage:
        return message.model_copy(update={key: new(message) if callable(new) else new for key, new in changes.items()})

    return type(name, (AltersMessages,), {"alter": alter})


class SendsOneByOne(InMemoryBroker):
    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None:
        for message in messages:
            if not isinstance(message.message, bytes):
                raise TypeError(message)
            await super().kick_many([message])
            await anyio.lowlevel.checkpoint()
