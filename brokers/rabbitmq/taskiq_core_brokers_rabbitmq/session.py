"""A subscription on one connection, from its opening until it breaks."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from pamqp import commands

from taskiq_core.defaults import DEFAULT_PRIORITY
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.alarms import Marks
from taskiq_core_brokers_rabbitmq.envelope import AGAIN, ATTEMPTS, COUNT, DEATHS, name_in, number, still_to_wait
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.feed import Feed, Look
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.in_doubt import InDoubt
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.receipt import Receipt
from taskiq_core_brokers_rabbitmq.tags import Tags
from taskiq_core_brokers_rabbitmq.topology import LEVELS, Topology

_HEAD_START = 0.2
"""Seconds that a higher level may take to deliver what it has."""


class Parts(Protocol):
    """What a session needs of its subscription."""

    in_doubt: InDoubt

    def arrived(self) -> None:
        """Something has come, perhaps unasked."""
        ...

    def broken(self, session: "Session", error: RabbitError) -> None:
        """It is of no use any more."""
        ...

    def send_on(self, settlements: Sequence[Settlement]) -> None:
        """Carry these out, soon."""
        ...


class Session:
    """Two channels: one for the work, one for the news. Its connection sends nothing, lest an alarm stop it: see `Marks`."""

    def __init__(self, link: Link, topology: Topology, holdings: Holdings, parts: Parts, marks: Marks) -> None:
        self.link = link
        self.channel = link.reserve()
        self.feed = Feed(self.channel)
        self.paused: set[str] = set()
        self._topology = topology
        self._holdings = holdings
        self._parts = parts
        self._marks = marks
        self._news = link.reserve()
        self._changed = asyncio.Event()
        self._tags = Tags()
        self._counts = topology.kind(link) == "quorum"
        self._queues: Collection[str] = ()
        self.address = ""
        """The queue of AMQP that brings the news."""
        self._loop = asyncio.get_running_loop()

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
        self.address = str(declared.queue)
        await self._news.call(
            commands.Queue.Bind(queue=declared.queue, exchange=topology.news, routing_key=""),
            commands.Basic.Consume(queue=declared.queue, no_ack=True),
            patience=patience,
        )
        # After the news are heard, so that nothing is missed.
        places = {topology.ready(queue, level): (queue, level) for queue in queues for level in LEVELS}
        pauses = {topology.pause_mark(queue): queue for queue in queues}
        marked = await self._marks.among(self.link, places, pauses)
        there = sorted(marked & places.keys())
        await topology.ensure(self.link, [places[name] for name in there])  # a mark outlives its queue
        for name in there:
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

    def _broken(self, error: RabbitError) -> None:
        self._changed.set()
        self._parts.broken(self, error)

    def _hear(self, message: Incoming) -> None:
        what, _, rest = message.body.decode(errors="replace").partition(" ")
        if what == "level":
            level, _, queue = rest.partition(" ")
            if queue in self._queues and level.isdigit():
                self.feed.add(self._topology.ready(queue, int(level)), queue, int(level))
        elif what == "pause":
            self.paused.add(rest)
            self.feed.stop(rest)
            self._parts.arrived()
        elif what == "resume":
            self.paused.discard(rest)
        elif what == "peer":
            self._parts.in_doubt.hear(rest)
        self._changed.set()

    def _take(self, message: Incoming) -> None:
        source, generation = self.feed.source_of(message.consumer)
        properties = frames.unpack_properties(message.properties)
        headers = properties.headers
        nonce = name_in(properties) or f"{id(self)}-{message.tag}"
        if generation == source.generation:
            source.taken += 1
        back = number(headers, COUNT)
        receipt = Receipt(nonce, source.level, properties.task_id, number(headers, ATTEMPTS) + back)
        returned = message.redelivered or back > 0 or number(headers, AGAIN) > 0
        if returned and (held := self._holdings.of(nonce)) is not None and held.receipt.channel is not self.channel:
            self._hold(held.receipt, message.tag, source.index, generation)
            return
        self._hold(receipt, message.tag, source.index, generation)
        delivery = Delivery(message.body, receipt, receipt.attempts + 1, source.queue, number(headers, DEATHS) + back)
        if returned and self._holdings.state_of(nonce) == "done":
            self.finish([delivery])
        elif (seconds := still_to_wait(headers)) > 0:
            self._holdings.take(delivery)
            self._parts.send_on([Settlement(delivery, Verdict.RETRY, delay=seconds)])
        elif returned:
            self._parts.in_doubt.keep(delivery)
        else:
            self.admit([delivery])

    def admit(self, deliveries: Iterable[Delivery]) -> None:
        """They may be received."""
        for delivery in deliveries:
            self._holdings.take(delivery)
            self.feed.wait(delivery)
        self._changed.set()
        self._parts.arrived()

    def come_back(self, deliveries: Sequence[Delivery]) -> None:
        """Their holder is lost. Where the server does not count that, a copy that does takes their place."""
        if self._counts:
            self.admit(deliveries)
            return
        for delivery in deliveries:
            delivery.deaths += 1
            delivery.receipt.attempts += 1
            self._holdings.take(delivery)
        self._parts.send_on([Settlement(delivery, Verdict.RELEASE) for delivery in deliveries])

    def finish(self, deliveries: Collection[Delivery]) -> None:
        """They are settled already: acknowledge them."""
        self.link.write(self.acks(deliveries))
        for delivery in deliveries:
            self._holdings.settled(delivery)

    def acks(self, deliveries: Collection[Delivery]) -> bytes:
        """The frames that acknowledge these, to be written at once."""
        for delivery in deliveries:
            self.feed.settled(delivery.receipt)
        return self._tags.acks(self.channel.number, {delivery.receipt.tag for delivery in deliveries})

    def _hold(self, receipt: Receipt, tag: int, source: int, generation: int) -> None:
        self._tags.add(tag)
        receipt.since = self._loop.time()
        receipt.channel, receipt.tag, receipt.source, receipt.generation = self.channel, tag, source, generation
