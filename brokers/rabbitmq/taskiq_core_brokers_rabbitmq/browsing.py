"""All messages of one queue of AMQP, in our hands for a while: so it is looked through, as AMQP cannot look without taking."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager

from pamqp import commands

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, RabbitError
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.link import Link

AT_ONCE = 30
"""Acknowledgements that a channel sends on without waiting."""
_LOCKED = 405
_PAUSE = 0.02
_WAIT = 30.0
"""Seconds that one waits for another who looks through the same queue."""


class QueueBrowser:
    """What is held."""

    def __init__(self, channel: Channel, name: str, patience: float) -> None:
        self.messages: list[Incoming] = []
        self._channel = channel
        self._name = name
        self._patience = patience

    async def remove(self, messages: Sequence[Incoming]) -> None:
        """Delete these for good.

        :raises RabbitError: if the server does not answer; they may be gone.
        """
        for start in range(0, len(messages), AT_ONCE):
            tags = [message.tag for message in messages[start : start + AT_ONCE]]
            more = await acknowledge(self._channel, tags, [self._name], self._patience)
            self.messages += [message for _, message in more]


@asynccontextmanager
async def browsing(connector: Connector, name: str) -> AsyncGenerator[QueueBrowser]:
    """Hold all that is ready in a queue of AMQP that exists; leaving gives back what was not removed, in its order.

    Nobody else who looks through it in this way does at the same time. `connector` is the caller's own, and closed here. When
    the caller is cancelled or dies the server gives everything back by itself.

    :raises RabbitError: if the server cannot be reached, or somebody else looks through the queue for very long.
    """
    patience = connector.patience
    try:
        link = await connector.link()
        turn = f"{name}:reader"
        await _take_turn(link, turn, patience)
        channel = await link.channel(patience)
        browser = QueueBrowser(channel, name, patience)
        channel.on_delivery = browser.messages.append
        await channel.call(commands.Basic.Consume(queue=name, consumer_tag="all"), patience=patience)
        await all_came(channel, name, browser.messages, patience)
        yield browser
        await channel.call(
            commands.Basic.Cancel(consumer_tag="all"),
            commands.Basic.Nack(delivery_tag=0, multiple=True, requeue=True),
            commands.Basic.Qos(prefetch_count=0),
            commands.Queue.Delete(queue=turn),
            patience=patience,
        )
    finally:
        connector.close()


async def _take_turn(link: Link, turn: str, patience: float) -> None:
    """An exclusive queue is what AMQP has for a lock: it belongs to one connection, and ends with it."""
    deadline = time.monotonic() + _WAIT
    while True:
        channel = await link.channel(patience)
        try:
            await channel.call(commands.Queue.Declare(queue=turn, exclusive=True), patience=patience)
        except ChannelClosedError as error:
            if error.code != _LOCKED:
                raise
            if time.monotonic() > deadline:
                reason = (
                    f"Somebody else has been looking through a queue of RabbitMQ at {link.place} for {_WAIT:g} s: try again."
                )
                raise RabbitError(reason=reason, passing=True) from error
            await asyncio.sleep(_PAUSE)
        else:
            return
        finally:
            channel.close()


async def acknowledge(
    channel: Channel, tags: Sequence[int], names: Collection[str], patience: float
) -> list[tuple[str, Incoming]]:
    """Acknowledge at most `AT_ONCE` deliveries of these queues of AMQP; when this returns, the queues have done it.

    A channel sends a quorum queue so many commands at a time; others it keeps until those are answered, and forgets when it is
    closed. The answer to a `basic.get` comes after theirs. It may be one message more in our hands: returns those, and whose.
    """
    acks = b"".join(frames.ack(channel.number, tag) for tag in tags)
    gets = [commands.Basic.Get(queue=name) for name in names]
    answers = await channel.call(*gets, after=acks, patience=patience)
    return [(name, answer) for name, answer in zip(names, answers, strict=True) if isinstance(answer, Incoming)]


async def all_came(channel: Channel, name: str, came: list[Incoming], patience: float, *, most: float = math.inf) -> None:
    """Wait until `most` have come from a queue of AMQP, or all that there are.

    A busy quorum queue may say that it holds 0 messages; only a `basic.get` that finds none says that there are none. What came
    before stands before the answer to the next one.

    :raises RabbitError: if the server does not answer.
    """
    empty, before = 0, -1
    while empty < 2 and len(came) < most:
        (found,) = await channel.call(commands.Basic.Get(queue=name), patience=patience)
        if isinstance(found, Incoming):
            came.append(found)
        empty = empty + 1 if len(came) == before else 0
        before = len(came)
