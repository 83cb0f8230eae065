"""A subscription on one connection, from its opening until it breaks."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence

from pamqp import commands

from taskiq_core.defaults import DEFAULT_PRIORITY
from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.envelope import ATTEMPTS, COUNT, DEATHS, number
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.feed import Feed, Look
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.receipt import Receipt
from taskiq_core_brokers_rabbitmq.topology import LEVELS, Topology

_HEAD_START = 0.2
"""Seconds that a higher level may take to deliver what it has."""


class Session:
    """Two channels: one for the work, one for the news."""

    def __init__(self, link: Link, topology: Topology, holdings: Holdings, arrived: Callable[[], None]) -> None:
        """`arrived` is called when something has come, perhaps unasked."""
        self.link = link
        self.channel = link.reserve()
        self.feed = Feed(self.channel)
        self.paused: set[str] = set()
        self._topology = topology
        self._holdings = holdings
        self._arrived = arrived
        self._news = link.reserve()
        self._changed = asyncio.Event()
        self._counts = topology.kind(link) == "quorum"
        self._queues: Collection[str] = ()

    @property
    def usable(self) -> bool:
        """False once one of the channels is closed."""
        return self.link.usable and self.channel.closed is None and self._news.closed is None

    async def open(self, queues: Sequence[str], patience: float) -> None:
        """Declare, listen to news, and look which levels there are. Begins no consumer.

        :raises RabbitError: if that does not work.
        """
        self._queues = queues
        topology = self._topology
        self.channel.on_delivery, self._news.on_delivery = self._take, self._hear
        self.channel.on_closed = self._news.on_closed = self._broken
        await self.channel.call(commands.Channel.Open(), patience=patience)
        await topology.ensure_base(self.link)
        await topology.ensure(self.link, [(queue, DEFAULT_PRIORITY) for queue in queues])
        _, declared = await self._news.call(
            commands.Channel.Open(), commands.Queue.Declare(exclusive=True, auto_delete=True), patience=patience
        )
        await self._news.call(
            commands.Queue.Bind(queue=declared.queue, exchange=topology.news, routing_key=""),
            commands.Basic.Consume(queue=declared.queue, no_ack=True),
            patience=patience,
        )
        # After the news are heard, so that nothing is missed.
        places = {topology.ready(queue, level): (queue, level) for queue in queues for level in LEVELS}
        pauses = {topology.pause_mark(queue): queue for queue in queues}
        marked = await topology.marked(self.link, [*places, *pauses])
        for name in sorted(marked & places.keys()):
            self.feed.add(name, *places[name])
        self.paused.update(pauses[mark] for mark in marked & pauses.keys())

    async def wait(self) -> None:
        """Return when something has come or changed.

        :raises RabbitError: if the session is broken.
        """
        if error := self.channel.closed or self._news.closed:
            raise error
        self._changed.clear()
        await self._changed.wait()

    async def head_start(self, looks: Sequence[Look]) -> None:
        """Wait for the first of each source that has something, lest a lower level be faster than a higher one.

        :raises RabbitError: if the session is broken.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START):
                for source, look in looks:
                    if (await look).message_count:
                        while not source.taken:
                            await self.wait()

    def _broken(self, _: RabbitError) -> None:
        self._changed.set()

    def _hear(self, message: Incoming) -> None:
        what, _, rest = message.body.decode(errors="replace").partition(" ")
        if what == "level":
            level, _, queue = rest.partition(" ")
            if queue in self._queues and level.isdigit():
                self.feed.add(self._topology.ready(queue, int(level)), queue, int(level))
        elif what == "pause":
            self.paused.add(rest)
            self.feed.stop(rest)
            self._arrived()
        elif what == "resume":
            self.paused.discard(rest)
        self._changed.set()

    def _take(self, message: Incoming) -> None:
        source, generation = self.feed.source_of(message.consumer)
        properties = frames.unpack_properties(message.properties)
        headers = properties.headers
        nonce = properties.nonce or f"{id(self)}-{message.tag}"
        if generation == source.generation:
            source.taken += 1
        back = number(headers, COUNT)
        receipt = Receipt(nonce, source.level, properties.task_id, number(headers, ATTEMPTS) + back)
        if message.redelivered or back:
            if (held := self._holdings.of(nonce)) is not None:
                self._hold(held.receipt, message.tag, source.index, generation)
                return
            if self._holdings.is_settled(nonce):
                self.link.write(frames.ack(self.channel.number, message.tag))
                self._hold(receipt, message.tag, source.index, generation)
                self.feed.settled(receipt)
                return
        self._hold(receipt, message.tag, source.index, generation)
        delivery = Delivery(message.body, receipt, receipt.attempts + 1, source.queue, number(headers, DEATHS) + back)
        self._holdings.take(delivery)
        source.waiting.append(delivery)
        self._changed.set()
        self._arrived()

    def _hold(self, receipt: Receipt, tag: int, source: int, generation: int) -> None:
        receipt.channel, receipt.tag, receipt.source, receipt.generation = self.channel, tag, source, generation
