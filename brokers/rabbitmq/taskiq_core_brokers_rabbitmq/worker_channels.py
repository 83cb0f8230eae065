"""A worker's channels on one connection, from their opening until it breaks."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence

from pamqp import commands

from taskiq_core.defaults import DEFAULT_PRIORITY
from taskiq_core.delivery import Settlement
from taskiq_core_brokers_rabbitmq.consumers import DepthQuestion
from taskiq_core_brokers_rabbitmq.directory import QueueDirectory
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.in_doubt import InDoubt
from taskiq_core_brokers_rabbitmq.intake import Intake
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.names import LEVELS
from taskiq_core_brokers_rabbitmq.news import NewsListener
from taskiq_core_brokers_rabbitmq.topology import Topology

_HEAD_START = 0.2
"""Seconds that a higher level may take to deliver what it has."""


class WorkerChannels:
    """One for the work, one for the news. Their connection sends nothing, lest an alarm stop it: see `QueueDirectory`.

    :param arrived: is called when something has come, perhaps unasked.
    :param broken: is called once they are of no use any more, and gets them.
    :param settle_later: carries out what it is given, soon.
    """

    def __init__(
        self,
        link: Link,
        topology: Topology,
        holdings: Holdings,
        in_doubt: InDoubt,
        *,
        arrived: Callable[[], None],
        broken: Callable[["WorkerChannels", RabbitError], None],
        settle_later: Callable[[Sequence[Settlement]], None],
    ) -> None:
        self.link = link
        self.work = link.reserve()
        self.intake = Intake(
            self.work,
            holdings,
            in_doubt,
            counts=topology.kind(link) == "quorum",
            arrived=self._notice,
            settle_later=settle_later,
        )
        self.consumers = self.intake.consumers
        self.news = NewsListener(link, topology.names, on_level=self._add_level, on_pause=self._pause, on_peer=in_doubt.hear)
        self.paused: set[str] = set()
        self._topology = topology
        self._arrived = arrived
        self._on_broken = broken
        self._changed = asyncio.Event()
        self._queues: Collection[str] = ()

    @property
    def usable(self) -> bool:
        """False once one of them is closed."""
        return self.link.usable and self.work.closed is None and self.news.channel.closed is None

    async def open(self, queues: Sequence[str], directory: QueueDirectory, patience: float) -> None:
        """Declare, listen to news, and look which levels there are. Begins no consumer.

        :raises RabbitError: if that does not work.
        """
        self._queues = queues
        topology, names = self._topology, self._topology.names
        self.work.on_delivery = self.intake.take
        self.work.on_closed = self.news.channel.on_closed = self._broken
        await self.work.call(commands.Channel.Open(), patience=patience)
        await topology.ensure_base(self.link)
        await topology.ensure(self.link, [(queue, DEFAULT_PRIORITY) for queue in queues])
        await self.news.open(patience)
        # After the news are heard, so that nothing is missed.
        places = {names.ready(queue, level): (queue, level) for queue in queues for level in LEVELS}
        pauses = {names.pause_mark(queue): queue for queue in queues}
        found = await directory.among(self.link, places, pauses)
        there = sorted(found & places.keys())
        await topology.ensure(self.link, [places[name] for name in there])  # a mark outlives its queue
        for name in there:
            self.consumers.add(name, *places[name])
        self.paused.update(pauses[mark] for mark in found & pauses.keys())

    async def wait(self) -> None:
        """Return when something has come or changed.

        :raises RabbitError: if they are broken.
        """
        if error := self.work.closed or self.news.channel.closed:
            raise error
        self._changed.clear()
        await self._changed.wait()

    async def head_start(self, questions: Sequence[DepthQuestion]) -> None:
        """Wait for the first of each consumer whose queue has something, lest a lower level be faster than a higher one.

        :raises RabbitError: if they are broken.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_START):
                for consumer, answer in questions:
                    if (await answer).message_count:
                        while not consumer.taken:
                            await self.wait()

    def _broken(self, error: RabbitError) -> None:
        self._changed.set()
        self._on_broken(self, error)

    def _notice(self) -> None:
        self._changed.set()
        self._arrived()

    def _add_level(self, queue: str, level: int) -> None:
        if queue in self._queues:
            self.consumers.add(self._topology.names.ready(queue, level), queue, level)
            self._changed.set()

    def _pause(self, queue: str, paused: bool) -> None:
        if paused:
            self.paused.add(queue)
            self.consumers.stop(queue)
        else:
            self.paused.discard(queue)
        self._notice()
