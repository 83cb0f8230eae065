"""Messages through a real broker, for tests that look at its connections."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import anyio
from support.processes import DEADLINE

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import BrokerError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core_brokers_redis import RedisBroker


@asynccontextmanager
async def started(broker: RedisBroker) -> AsyncGenerator[RedisBroker]:
    """Started for the block."""
    try:
        await broker.startup()
        yield broker
    finally:
        await broker.shutdown()


def message(task_id: str, *, size: int = 0, delay: float | None = None) -> BrokerMessage:
    """A message whose body is its id and `size` more bytes."""
    return BrokerMessage(task_id, "task", task_id.encode() + b" " + b"x" * size, delay=delay)


def id_of(body: bytes) -> str:
    """The id of the task of a `message`."""
    return body.partition(b" ")[0].decode()


async def drain(subscription: Subscription, wanted: Iterable[str]) -> list[str]:
    """Receive and acknowledge until all that are wanted have come; every id as often as it came. Errors are waited out."""
    left, seen = set(wanted), list[str]()
    with anyio.fail_after(2 * DEADLINE):
        while left:
            try:
                taken = await subscription.receive(100)
                await acknowledge(subscription, taken)
            except BrokerError:
                await anyio.sleep(0.05)
                continue
            seen += [id_of(item.body) for item in taken]
            left.difference_update(seen)
    return seen


async def acknowledge(subscription: Subscription, deliveries: Iterable[Delivery]) -> None:
    """Settle them as done; again after an error, as workers do."""
    settlements = [Settlement(item, Verdict.ACK) for item in deliveries]
    while True:
        try:
            return await subscription.settle(settlements)
        except BrokerError:
            await anyio.sleep(0.05)


async def round_trip(broker: RedisBroker, count: int = 20) -> None:
    """Send messages and receive each once."""
    ids = [f"id-{number}" for number in range(count)]
    await broker.kick_many([message(item) for item in ids])
    async with broker.subscribe(["default"]) as subscription:
        assert sorted(await drain(subscription, ids)) == sorted(ids)


async def kick_until_accepted(broker: RedisBroker, item: str) -> None:
    """As a caller does who repeats a send under the same id."""
    with anyio.fail_after(DEADLINE):
        while True:
            try:
                return await broker.kick(message(item))
            except SendTaskError:
                await anyio.sleep(0.05)
