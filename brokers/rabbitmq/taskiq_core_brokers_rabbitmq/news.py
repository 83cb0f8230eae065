"""News: short texts that every worker hears on a channel of its own. What workers write to each other comes there too."""

from collections.abc import Callable, Iterable
from typing import Any

from pamqp import commands

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.names import Names

_LEVEL, _PAUSE, _RESUME, _PEER = "level", "pause", "resume", "peer"


def of_level(queue: str, level: int) -> str:
    """A queue has a priority that was never used before."""
    return f"{_LEVEL} {level} {queue}"


def of_pause(queue: str) -> str:
    """A queue is paused."""
    return f"{_PAUSE} {queue}"


def of_resume(queue: str) -> str:
    """A queue is paused no longer."""
    return f"{_RESUME} {queue}"


def of_peer(text: str) -> str:
    """What a worker writes to others."""
    return f"{_PEER} {text}"


async def tell(link: Link, names: Names, texts: Iterable[str], patience: float, *, after: Iterable[Any] = ()) -> None:
    """Tell every worker, once the server has carried out some methods; when this returns the news is on its way.

    :raises RabbitError: if the server does not answer.
    """
    channel = link.reserve()
    data = b"".join(channel.prepare(method) for method in (commands.Channel.Open(), *after))
    address = (names.news.encode(), b"")
    for text in texts:
        data += frames.publication(channel.number, link.frame_max, address, frames.NO_PROPERTIES, text.encode())
    await channel.finish(data, patience=patience)


class NewsListener:
    """Of one connection.

    :param on_level: gets a queue and a priority.
    :param on_pause: gets a queue, and whether it is paused now.
    :param on_peer: gets what a worker has written.
    """

    def __init__(
        self,
        link: Link,
        names: Names,
        *,
        on_level: Callable[[str, int], None],
        on_pause: Callable[[str, bool], None],
        on_peer: Callable[[str], None],
    ) -> None:
        self.channel = link.reserve()
        self.channel.on_delivery = self._hear
        self.address = ""
        """The queue of AMQP that brings the news, once it is open."""
        self._names = names
        self._on_level = on_level
        self._on_pause = on_pause
        self._on_peer = on_peer

    async def open(self, patience: float) -> None:
        """Listen.

        :raises RabbitError: if that does not work.
        """
        _, declared = await self.channel.call(
            commands.Channel.Open(), commands.Queue.Declare(exclusive=True, auto_delete=True), patience=patience
        )
        self.address = str(declared.queue)
        await self.channel.call(
            commands.Queue.Bind(queue=self.address, exchange=self._names.news, routing_key=""),
            commands.Basic.Consume(queue=self.address, no_ack=True),
            patience=patience,
        )

    def _hear(self, message: Incoming) -> None:
        what, _, rest = message.body.decode(errors="replace").partition(" ")
        if what == _LEVEL:
            level, _, queue = rest.partition(" ")
            if level.isdecimal():
                self._on_level(queue, int(level))
        elif what in {_PAUSE, _RESUME}:
            self._on_pause(rest, what == _PAUSE)
        elif what == _PEER:
            self._on_peer(rest)
