"""What the laws of brokers share: sending, collecting and watching."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel

from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.result_backend import AsyncResultBackend
from taskiq_core.abc.subscription import Subscription
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_QUEUE
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.ids import new_task_id
from taskiq_core.message import BrokerMessage
from taskiq_core.testing.suite import Suite, Terms

DEFAULT = (DEFAULT_QUEUE,)
SLACK = 0.05
"""Seconds by which two clocks may differ, or a store may round."""


class BrokerSuite(Suite[AsyncBroker]):
    """What a plugin's test class may set, beside `fresh_store`."""

    lease: float = 60.0
    """Seconds; what `fresh_store` makes brokers with. Set anew for each law: `short_lease` for laws about its end."""

    short_lease: float = 1.0

    pause_delay: float = 1.0
    """Seconds until a pause has reached every worker; less than the second that `QueueAdmin.pause` allows, where it is."""

    big_body: int = 4 * 1024 * 1024
    """Bytes that one message must be able to hold."""

    def result_backend_beside(self, broker: AsyncBroker) -> AsyncResultBackend[Any]:
        """The backend into which the broker's `settle` stores results; for `Capability.JOINT_SETTLE`."""
        msg = f"{type(self).__name__} must override result_backend_beside(): its broker claims JOINT_SETTLE."
        raise NotImplementedError(msg)

    def transaction(self, broker: AsyncBroker) -> AbstractAsyncContextManager[Any]:
        """A connection of the kind that `broker.enlist` takes, with a transaction begun; for `Capability.TRANSACTIONS`.

        It commits at its end, and rolls back after an error.
        """
        msg = f"{type(self).__name__} must override transaction(): its broker claims TRANSACTIONS."
        raise NotImplementedError(msg)

    def prepare(self, terms: Terms) -> None:
        self.lease = self.short_lease if terms.short_lease else type(self).lease

    async def start(self, plugin: AsyncBroker) -> AsyncBroker:
        plugin.is_worker_process = True  # the suite is the one that receives
        return await super().start(plugin)

    def why_not(self, terms: Terms, plugin: AsyncBroker) -> str | None:
        missing = terms.needs & ~plugin.capabilities
        return f"the broker does not claim {missing.name}" if missing else super().why_not(terms, plugin)

    async def pause(self, broker: AsyncBroker, queue: str = DEFAULT_QUEUE) -> None:
        """Pause, and wait until every worker has heard of it."""
        await admin_of(broker).pause(queue)
        await anyio.sleep(self.pause_delay)


def messages(count: int, **fields: Any) -> list[BrokerMessage]:
    """New messages; the body of each is its id."""
    ids = [new_task_id() for _ in range(count)]
    return [BrokerMessage(task_id, "a.task", task_id.encode(), **fields) for task_id in ids]


def bodies(items: Iterable[BrokerMessage | Delivery]) -> list[bytes]:
    """What was sent or received, sorted."""
    return sorted(item.message if isinstance(item, BrokerMessage) else item.body for item in items)


async def collect(subscription: Subscription, count: int, limit: int = 100) -> list[Delivery]:
    """Receive until there are `count`; the law's deadline ends the wait."""
    taken: list[Delivery] = []
    while len(taken) < count:
        taken += await subscription.receive(min(limit, count - len(taken)))
        await anyio.lowlevel.checkpoint()  # a plugin may return empty at once, and the deadline must still strike
    return taken


async def take_one(subscription: Subscription) -> Delivery:
    """Receive one."""
    return (await collect(subscription, 1))[0]


async def settle(
    subscription: Subscription, deliveries: Iterable[Delivery], verdict: Verdict = Verdict.ACK, **terms: Any
) -> None:
    """One verdict on all of them."""
    await subscription.settle([Settlement(delivery, verdict, **terms) for delivery in deliveries])


async def nothing_comes(subscription: Subscription, seconds: float = 0.2) -> None:
    """Hold that the subscription stays empty for a while."""
    with anyio.move_on_after(seconds):
        while True:
            taken = await subscription.receive(10)
            assert not taken, f"received what nobody should: {[item.body[:40] for item in taken]}"
            await anyio.lowlevel.checkpoint()


async def whats_there(broker: AsyncBroker, queues: Sequence[str] = DEFAULT) -> list[Delivery]:
    """Receive and acknowledge everything that a new subscription gets before it falls silent."""
    taken: list[Delivery] = []
    async with broker.subscribe(queues) as subscription:
        while True:
            batch: Sequence[Delivery] = ()
            with anyio.move_on_after(0.3) as scope:
                batch = await subscription.receive(100)
                await anyio.lowlevel.checkpoint()
            taken += batch
            await settle(subscription, batch)
            if scope.cancelled_caught and not batch:
                return taken


def admin_of(broker: AsyncBroker) -> QueueAdmin:
    """The broker's admin, which `Capability.DEAD_LETTER` promises."""
    assert broker.admin is not None, "the broker claims DEAD_LETTER but has no admin"
    return broker.admin


def claims(broker: AsyncBroker, flag: Capability) -> bool:
    """Whether the broker claims all of `flag`."""
    return flag in broker.capabilities
