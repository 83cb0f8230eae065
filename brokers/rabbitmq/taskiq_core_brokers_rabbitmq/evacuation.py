"""Carrying away what waits: held on a connection of its own, so that nobody else gets it, and it is back if we are lost."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from pamqp import commands

from taskiq_core import clock
from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.asking import ask_for
from taskiq_core_brokers_rabbitmq.browsing import AT_ONCE, acknowledge, all_came
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.envelope import ATTEMPTS, COUNT, DEATHS, DUE, due_in, number
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.names import DELAYS, LEVELS
from taskiq_core_brokers_rabbitmq.publisher import Letter, Publisher
from taskiq_core_brokers_rabbitmq.topology import Topology

_FEW = 500
"""Messages of one step."""
_MOST = 60_000
"""The largest prefetch; AMQP's numbers end at 65535."""


class _Held:
    """A message in our hands."""

    def __init__(self, message: Incoming, queue: str, source: str) -> None:
        # Queues of what is ready are named after their level, and routes through the delays end with it.
        level = int(message.routing_key.replace(".", ":").rpartition(":")[2])
        self.source = source
        found = frames.unpack_properties(message.properties)
        headers = found.headers or {}
        self.tag = message.tag
        self.task_id = found.task_id
        self.name = found.nonce or f"tag {message.tag}"
        self.due = number(headers, DUE) / 1000
        counts = {ATTEMPTS: number(headers, ATTEMPTS), DEATHS: number(headers, DEATHS) + number(headers, COUNT)}
        self.letter = Letter(message.body, queue, level, found.task_id, {name: n for name, n in counts.items() if n})

    def left(self) -> float | None:
        """Seconds until it is due."""
        seconds = self.due - clock.time() if self.due else 0.0
        return seconds if seconds > 0 else None

    def shown(self) -> Waiting:
        """What the caller gets."""
        letter = self.letter
        return Waiting(self.task_id, letter.body, letter.queue, letter.level, self.left(), self.name)

    def copy(self) -> Letter:
        """What takes its place in the queue."""
        left = self.left()
        return due_in(self.letter, left) if left else self.letter


class RabbitEvacuation(Evacuation):
    """Made by `RabbitAdmin.evacuate`.

    Closing the connection gives back what it holds, in its order. Quorum queues count that as the loss of a holder; so on them
    what nobody removed is sent once more instead.
    """

    def __init__(self, connect: Callable[[], Connector], topology: Topology, publisher: Publisher, queue: str) -> None:
        self._connector = connect()
        self._topology = topology
        self._publisher = publisher
        self._queue = queue
        self._channel: Channel | None = None
        self._held: dict[str, _Held] = {}
        """By name, in the order in which they came."""
        self._fresh: deque[_Held] = deque()
        """Those of them that nobody has seen yet."""
        self._shown: set[str] = set()
        self._came: list[Incoming] = []
        """What a consumer has been given, until it is read."""
        self._takes = 0
        self._busy = asyncio.Lock()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            link = self._connector.current
            if link is not None and self._held and self._topology.kind(link) == "quorum":
                await asyncio.shield(asyncio.ensure_future(self._give_back()))
        finally:
            self.close()

    def close(self) -> None:
        """Let go: the server gives back what is held."""
        self._connector.close()

    async def next(self, limit: int) -> Sequence[Waiting]:
        if len(self._fresh) < limit:
            await asyncio.shield(asyncio.ensure_future(self._fetch(limit - len(self._fresh))))
        found = [self._fresh.popleft() for _ in range(min(limit, len(self._fresh)))]
        self._shown.update(item.name for item in found)
        return [item.shown() for item in found]

    async def remove(self, messages: Sequence[Waiting]) -> None:
        names = [message.receipt for message in messages if message.receipt in self._shown]
        if names:
            await asyncio.shield(asyncio.ensure_future(self._remove(names)))

    # -- on the server --------------------------------------------------------------------------------------------------------

    async def _open(self) -> Channel:
        """The channel that holds everything; after the connection broke, one that holds nothing yet.

        :raises RabbitError: if the server cannot be reached.
        """
        link = await self._connector.link()
        if self._channel is None or self._channel.closed is not None or self._channel.wire is not link:
            self._held.clear()
            self._fresh.clear()
            self._came.clear()
            self._channel = await link.channel(self._connector.patience)
            self._channel.on_delivery = self._came.append
        return self._channel

    async def _fetch(self, limit: int) -> bool:
        """Take at most so many more into our hands, and tell whether there were any."""
        async with self._busy:
            channel = await self._open()
            topology, queue = self._topology, self._queue
            names = [topology.names.ready(queue, level) for level in reversed(LEVELS)]
            names += [topology.names.delayed(queue, delay) for delay in DELAYS]
            marked = await topology.marked(await self._connector.link(), names)
            end = len(self._held) + limit
            for name in names:
                if name in marked and len(self._held) < end and await self._is_there(name):
                    await self._take(channel, name, min(end - len(self._held), _MOST))
            return len(self._held) > end - limit

    async def _is_there(self, name: str) -> bool:
        """A mark outlives its queue."""
        link = await self._connector.link()
        question = commands.Queue.Declare(queue=name, passive=True)
        return await ask_for(link, question, self._connector.patience) is not None

    async def _take(self, channel: Channel, name: str, count: int) -> None:
        """Take at most so many out of one queue of AMQP, by a consumer: a `basic.get` for each takes long."""
        came = self._came
        patience = self._connector.patience
        self._takes += 1
        tag = f"take {self._takes}"  # another each time: what an old one holds would count as its prefetch
        begin = commands.Basic.Qos(prefetch_count=count), commands.Basic.Consume(queue=name, consumer_tag=tag)
        await channel.call(*begin, patience=patience)
        await all_came(channel, name, came, patience, most=count)
        await channel.call(commands.Basic.Cancel(consumer_tag=tag), patience=patience)
        # The answer to one more question stands behind whatever was still on its way to that consumer.
        await channel.call(commands.Basic.Qos(prefetch_count=1), patience=patience)
        self._keep(name, came)
        came.clear()

    def _keep(self, source: str, messages: Iterable[Incoming]) -> None:
        """They are in our hands."""
        for message in messages:
            held = _Held(message, self._queue, source)
            self._held[held.name] = held
            if held.task_id and held.name not in self._shown:
                self._fresh.append(held)

    async def _remove(self, names: Sequence[str]) -> None:
        await self._open()
        # What we held when the connection broke is back in the queue.
        while any(name not in self._held for name in names) and await self._fetch(_FEW):
            pass
        async with self._busy:
            channel = await self._open()
            found = [name for name in names if name in self._held]
            for start in range(0, len(found), AT_ONCE):
                some = [self._held[name] for name in found[start : start + AT_ONCE]]
                sources = dict.fromkeys(item.source for item in some)
                tags = [item.tag for item in some]
                for source, more in await acknowledge(channel, tags, sources, self._connector.patience):
                    self._keep(source, [more])
            for name in found:
                del self._held[name]
            self._shown.difference_update(names)

    async def _give_back(self) -> None:
        """Send copies of all that waits, of what is held and of what follows it, so that the order stays as it was."""
        while await self._fetch(_FEW):
            pass
        channel = await self._open()
        held = list(self._held.values())
        for start in range(0, len(held), AT_ONCE):
            some = held[start : start + AT_ONCE]
            await self._publisher.publish([item.copy() for item in some])
            # Few enough to be on their way when this is answered, and done before the next copies are confirmed.
            acks = b"".join(frames.ack(channel.number, item.tag) for item in some)
            await channel.call(commands.Basic.Qos(prefetch_count=1), after=acks, patience=self._connector.patience)
