"""One consumer: what it receives, holds and settles."""

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.ids import new_consumer_id
from taskiq_core.leaving import LEAVE_TIMEOUT, give_back
from taskiq_core_brokers_redis.deliveries import by_stream, settling
from taskiq_core_brokers_redis.errors import RedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.location import Location
from taskiq_core_brokers_redis.packing import Argument
from taskiq_core_brokers_redis.parking import unpark
from taskiq_core_brokers_redis.reader import Reader
from taskiq_core_brokers_redis.scripts import Script
from taskiq_core_brokers_redis.thread_client import ThreadClient

logger = logging.getLogger("taskiq.redis")

_MARGIN = 0.5
"""Seconds that a delivery may take from the server to our books."""
_NEVER = 10**12

_EXTEND = Script("returning", "leases", "extend")
_FORGET = Script("returning", "leases", "forget")
_RETIRE = Script("returning", "leases", "retire")
_LEAVE = Script("returning", "leases", "leave")
_BURY = Script("returning", "leases", "bury")


class RedisSubscription(Subscription):
    """A member of the consumer groups of some queues. Its lease is one entry in Redis, however much it holds."""

    def __init__(
        self,
        location: Location,
        commands: Line,
        queues: Sequence[str],
        *,
        lease: float,
        patience: float,
        dead_ttl: float | None,
    ) -> None:
        self.consumer = new_consumer_id()
        self.lease = lease
        self._location = location
        self._root = location.root
        self._commands = commands
        self._held: set[Delivery] = set()
        self._reader = Reader(
            location,
            consumer=self.consumer,
            queues=tuple(dict.fromkeys(queues)),
            lease=lease,
            patience=patience,
            known=lambda: self._held,
            give_back=self._release_soon,
        )
        self._thread_client = ThreadClient(location.server)
        self._result_ttl: float | None = None
        self._dead_ttl = dead_ttl
        self._releasing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._reader.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await give_back(self._leave, "Redis", self.lease, logger)
        finally:
            self._thread_client.close()

    async def _leave(self) -> None:
        await self._reader.close(LEAVE_TIMEOUT / 2, self._commands)
        await self._commands.run(_LEAVE, self._root, self.consumer)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        taken = await self._reader.read(limit)
        if len(taken) > limit:  # an earlier call asked for more and was cancelled, or several streams answered at once
            self._release_soon(taken[limit:])
            taken = taken[:limit]
        self._held.update(taken)
        return taken

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if settlements:
            script, arguments = settling(settlements, self._result_ttl, self._dead_ttl)
            await self._commands.run(script, self._root, *arguments)
            self._held.difference_update([item.delivery for item in settlements])

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        patience = round(max(self._reader.lease_ms / 3, 1000 * (self._reader.seconds_unheard + _MARGIN)))
        gone = {bytes(item) for item in await self._commands.run(_EXTEND, self._root, *self._named(deliveries, patience))}
        return [item for item in deliveries if b"%s %s" % (item.receipt.stream, item.receipt.entry) in gone]

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        # The loop stands still: what has been delivered to it meanwhile it does not know of, and has not dropped.
        return self._thread_client.run(_EXTEND, self._root, *self._named(deliveries, _NEVER))

    def _named(self, deliveries: Sequence[Delivery], *more: Argument) -> list[Argument]:
        return [self.consumer, self._reader.lease_ms, *more, *by_stream(deliveries)]

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        self._held.difference_update(deliveries)
        self._soon(self._commands.run(_FORGET, self._root, *self._named(deliveries)))

    async def unpark(self, counts: Mapping[str, int]) -> None:
        parts: list[Argument] = [part for item in counts.items() for part in item]
        await unpark(self._commands, self._root, parts, self.consumer)

    def stop_receiving(self) -> None:
        self._soon(self._commands.run(_RETIRE, self._root, self.consumer))

    def stores_results_of(self, backend: Any) -> bool:
        same = getattr(getattr(backend, "location", None), "place", None) == self._location.place
        if same:
            self._result_ttl = backend.result_ttl
        return same

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await self._commands.run(_BURY, self._root, consumer, *accused)

    def _release_soon(self, deliveries: Sequence[Delivery]) -> None:
        self._soon(self.settle([Settlement(item, Verdict.RELEASE) for item in deliveries]))

    def _soon(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(_quietly(work))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except RedisError as error:  # then the end of the lease, or of the subscription, does the same
        logger.warning("Some messages could not be given back yet: %s", error)
