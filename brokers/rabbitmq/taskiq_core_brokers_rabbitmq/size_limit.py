"""How long a message may be. RabbitMQ tells only by closing the channel of one that is too long, and what was under way on it
is in doubt then; so the first long one is preceded by one as long, on a channel of its own, that no queue gets."""

import re
from collections.abc import Callable, Iterable

from pamqp import commands

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, RabbitError, TooLargeError, explain_closing
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.topology import Topology

_HARMLESS = 128 * 1024
"""Bytes that are sent without asking: operators set no less."""
_STEP = 1024 * 1024
"""Lengths are tried in multiples of this, so that there are few tries."""
_TOLD = re.compile(r"larger than (?:configured )?max size (\d+)")


class SizeLimit:
    """Of the server that a process sends to.

    :param learnt: gets the limit, in bytes, when it is known.
    """

    def __init__(self, topology: Topology, patience: float, learnt: Callable[[int], None]) -> None:
        self._topology = topology
        self._patience = patience
        self._learnt = learnt
        self._limit: int | None = None
        self._allowed = _HARMLESS

    async def check(self, link: Link, sizes: Iterable[int]) -> None:
        """Return if the server takes messages of these lengths.

        :raises TooLargeError: if it does not.
        :raises RabbitError: if it does not answer; nothing of use was sent.
        """
        size = max(sizes, default=0)
        if size <= self._allowed:
            return
        if self._limit is None:
            await self._try(link, -(-size // _STEP) * _STEP)
        if self._limit is not None and size > self._limit:
            raise TooLargeError(size=size, limit=self._limit, place=link.place)

    def learn(self, error: ChannelClosedError) -> bool:
        """Whether that is why the server closed a channel."""
        if (told := _TOLD.search(error.reason)) is None:
            return False
        self._limit = self._allowed = int(told[1])
        self._learnt(self._limit)
        return True

    async def _try(self, link: Link, size: int) -> None:
        await self._topology.ensure_base(link)
        channel = link.reserve()
        nowhere = (self._topology.names.marks.encode(), b"as long as a message")
        data = channel.prepare(commands.Channel.Open())
        data += frames.publication(channel.number, link.frame_max, nowhere, frames.NO_PROPERTIES, bytes(size))
        try:
            await channel.finish(data, patience=self._patience)
        except ChannelClosedError as error:
            if not self.learn(error):
                raise explain_closing(link.place, error) from error
        except RabbitError as error:
            raise RabbitError(reason=error.reason, passing=error.passing) from error
        else:
            self._allowed = size
