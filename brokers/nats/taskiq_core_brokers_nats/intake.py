"""Receiving: the highest priority first, but for the share of low ones."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from taskiq_core.delivery import Delivery
from taskiq_core.low_share import LowShare
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.holdings import Holdings
from taskiq_core_brokers_nats.link import Link, Msg
from taskiq_core_brokers_nats.names import DELAYED
from taskiq_core_brokers_nats.pulls import STANDING, Pull, Pulls
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.topology import Topology

_LOOK = 0.05
"""Seconds until a consumer that had nothing is asked again, while others have something."""

_SILENCE = 1.0
"""Seconds until an answer to what is there now is not waited for any more."""


@dataclass(slots=True, eq=False)
class _Consumer:
    name: str
    queue: str
    priority: int
    look_at: float = 0.0
    standing: Pull | None = None
    """While it stands there is nothing."""

    def may_have(self, now: float) -> bool:
        return self.standing is None and now >= self.look_at


class Intake:
    """The consumers of one subscription: one for each priority that its queues have had."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        state: State,
        queues: Sequence[str],
        *,
        lease: float,
        holdings: Holdings,
    ) -> None:
        self._connection = connection
        self._topology = topology
        self._state = state
        self._queues = queues
        self._lease = lease
        self._holdings = holdings
        self._pulls = Pulls(connection, topology.names.queues, self._came)
        self._consumers: dict[str, _Consumer] = {}
        self._share = LowShare()
        self._arrived: list[Msg] = []
        self._receiving = False
        self._news = asyncio.Event()
        self._doubtful = False
        self._quiet_until = 0.0

    def begin(self, link: Link) -> None:
        """Use a new link."""
        self._pulls.begin(link)
        for consumer in self._consumers.values():
            consumer.standing, consumer.look_at = None, 0.0
        self._news.set()

    def wake(self) -> None:
        """Something may be different now."""
        self._news.set()

    def be_quiet(self, seconds: float) -> None:
        """Receive nothing for so long."""
        self._quiet_until = time.monotonic() + seconds

    async def leave(self) -> None:
        """Receive nothing any more; returns when nothing is on its way."""
        await self._pulls.leave()

    async def receive(self, limit: int) -> list[Delivery]:
        """At least one."""
        self._receiving = True
        try:
            while True:
                await self.prepare()
                await asyncio.sleep(max(0.0, self._quiet_until - time.monotonic()))
                taken = await self._sweep(limit)
                if taken:
                    return taken
                if not self._doubtful:
                    await self._wait()
        finally:
            self._receiving = False
            self._back(self._take_arrived())

    async def prepare(self) -> None:
        """Be connected, and have all consumers."""
        await self._connection.usable()
        if self._doubtful:  # the server has answered nothing: perhaps it has lost them
            self._state.forget()
            await self._topology.ensure()
            await self._state.restore()
            self._consumers.clear()
            self._doubtful = False
        await self._state.refresh()
        for queue in self._queues:
            for level in self._state.levels.get(queue, set()) - {DELAYED}:
                name = self._topology.names.consumer(queue, level)
                if name not in self._consumers:
                    await self._topology.consumer(queue, level, self._lease)
                    self._consumers[name] = _Consumer(name, queue, int(level))

    def _open(self) -> list[_Consumer]:
        """Of queues that are not paused, the highest priority first; queues take turns."""
        found = [consumer for consumer in self._consumers.values() if self._is_open(consumer)]
        if len(found) > 1:
            self._consumers[found[0].name] = self._consumers.pop(found[0].name)
            found.sort(key=lambda consumer: -consumer.priority)
        return found

    def _is_open(self, consumer: _Consumer) -> bool:
        return self._consumers.get(consumer.name) is consumer and consumer.queue not in self._state.paused

    async def _sweep(self, limit: int) -> list[Delivery]:
        """What there is."""
        consumers = self._open()
        messages: list[Msg] = []
        try:
            owed = self._share.owed(limit) if len(consumers) > 1 else 0
            if owed:
                messages += await self._low(consumers, owed)
            for consumer in consumers:
                left = limit - len(messages) - len(self._arrived)
                if left > 0 and consumer.may_have(time.monotonic()):
                    messages += await self._ask(consumer, left)
        except BaseException:
            self._back(messages)
            raise
        messages = [*self._take_arrived(), *messages]
        self._share.delivered(len(messages[:limit]))
        deliveries = self._holdings.sort(messages[:limit], wanted=True)
        self._back(messages[limit:])  # then, as a message may be there twice
        return deliveries

    async def _low(self, consumers: Sequence[_Consumer], owed: int) -> list[Msg]:
        while True:
            now = time.monotonic()
            levels = sorted({consumer.priority for consumer in consumers if consumer.may_have(now)}, reverse=True)
            low = self._share.turn(partial(_next_below, levels))
            if low is None or len(levels) < 2:
                return []
            for consumer in consumers:
                if consumer.priority == low and consumer.may_have(now):
                    messages = await self._ask(consumer, owed)
                    if messages:
                        return messages

    async def _ask(self, consumer: _Consumer, count: int) -> list[Msg]:
        pull = self._pulls.ask(consumer.name, count)
        try:
            await asyncio.wait([pull.ended], timeout=min(_SILENCE, self._connection.patience))
        except asyncio.CancelledError:
            pull.ended.add_done_callback(lambda _: self._back(pull.taken))
            raise
        if not pull.ended.done():  # others took what it was to have, which ends none; or the server has lost the consumer
            self._doubtful = pull.standing = True
            consumer.standing = pull
            pull.ended.add_done_callback(partial(self._stood, consumer))
            return pull.taken
        error = pull.ended.exception()
        if isinstance(error, NatsError):
            self._doubtful = self._doubtful or error.certain
            self._back(pull.taken)
            raise error
        consumer.look_at = 0.0 if len(pull.taken) == count else time.monotonic() + _LOOK
        return pull.taken

    async def _wait(self) -> None:
        """Return when there may be something."""
        if self._arrived:
            return
        self._news.clear()
        for consumer in self._open():
            if consumer.standing is None:
                self._stand(consumer)
        try:
            async with asyncio.timeout(STANDING + self._connection.patience):
                await self._news.wait()
        except TimeoutError:
            for consumer in self._consumers.values():
                consumer.standing, consumer.look_at = None, 0.0

    def _stand(self, consumer: _Consumer) -> None:
        consumer.standing = self._pulls.ask(consumer.name, 1, standing=True)
        consumer.standing.ended.add_done_callback(partial(self._stood, consumer))

    def _stood(self, consumer: _Consumer, ended: asyncio.Future[None]) -> None:
        pull = consumer.standing
        if pull is not None and pull.ended is ended:
            consumer.standing, consumer.look_at = None, 0.0
            if not pull.gone.done() and self._receiving and self._is_open(consumer):
                with contextlib.suppress(NatsError):
                    self._stand(consumer)  # before it ends
                    return
        ended.exception()  # a link that has ended is seen by who uses it next
        self._news.set()

    def _came(self, pull: Pull, msg: Msg) -> None:
        """For a request that stands, or that nobody waits for any more."""
        consumer = self._consumers.get(pull.consumer)
        if consumer is not None:
            consumer.standing, consumer.look_at = None, 0.0
        if self._receiving and (consumer is None or consumer.queue not in self._state.paused):
            self._arrived.append(msg)
            self._news.set()
        else:
            self._back([msg])

    def _take_arrived(self) -> list[Msg]:
        arrived, self._arrived = self._arrived, []
        return arrived

    def _back(self, messages: Sequence[Msg]) -> None:
        if messages:
            self._holdings.sort(messages, wanted=False)


def _next_below(levels: Sequence[int], priority: int) -> int | None:
    return next((level for level in levels if level < priority), None)
