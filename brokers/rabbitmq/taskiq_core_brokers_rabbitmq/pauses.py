"""Paused queues: a mark for each, which workers look for when they connect, and news for those who are there."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from taskiq_core_brokers_rabbitmq.browsing import browsing
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.marks import pausing, resuming
from taskiq_core_brokers_rabbitmq.news import of_pause, of_resume, tell
from taskiq_core_brokers_rabbitmq.publisher import Letter, Publisher
from taskiq_core_brokers_rabbitmq.topology import Topology


async def paused_among(link: Link, topology: Topology, queues: Collection[str]) -> set[str]:
    """Which of these queues are paused. One round trip.

    :raises RabbitError: if the connection broke.
    """
    names = {topology.names.pause_mark(queue): queue for queue in queues}
    return {names[name] for name in await topology.marked(link, list(names))}


class Pauses:
    """Marks cannot be listed: so there is a queue of AMQP too, with a message for each name that may be marked.

    :param connect: makes a connector for one call.
    """

    def __init__(self, connect: Callable[[], Connector], topology: Topology, publisher: Publisher) -> None:
        self._connect = connect
        self._topology = topology
        self._publisher = publisher

    async def pause(self, queue: str) -> None:
        """As `QueueAdmin.pause`."""
        link = await self._publisher.connector.link()
        if not await paused_among(link, self._topology, [queue]):
            await self._topology.ensure_pauses(link)
            # The name first: a mark that nobody finds could not be taken away.
            await self._publisher.publish([Letter(queue.encode(), "", 0, target=self._topology.names.pauses)])
            await self._tell(link, of_pause(queue), after=pausing(self._topology.names, queue))

    async def resume(self, queue: str) -> None:
        """As `QueueAdmin.resume`."""
        link = await self._publisher.connector.link()
        if await paused_among(link, self._topology, [queue]):
            await self._tell(link, of_resume(queue), after=resuming(self._topology.names, queue))
            async with browsing(self._connect(), self._topology.names.pauses) as browser:
                await browser.remove([message for message in browser.messages if message.body == queue.encode()])

    async def all(self) -> frozenset[str]:
        """As `QueueAdmin.paused`."""
        link = await self._publisher.connector.link()
        await self._topology.ensure_pauses(link)
        async with browsing(self._connect(), self._topology.names.pauses) as browser:
            names = {message.body.decode() for message in browser.messages}
        return frozenset(await paused_among(link, self._topology, names))

    async def _tell(self, link: Link, text: str, *, after: Iterable[Any]) -> None:
        await tell(link, self._topology.names, [text], self._topology.patience, after=after)
