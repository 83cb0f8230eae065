"""Marks: what lets one ask which queues there are, and which are paused, all at once.

A mark is a binding of a queue that keeps nothing. A message to a mark that nobody has set comes back. (To ask for queues by
their names would be an error for each that is not there, in the server's log too.)
"""

from collections.abc import Sequence
from typing import Any

from pamqp import commands

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.declarations import binding, exchange, onward
from taskiq_core_brokers_rabbitmq.errors import blocked
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.names import Names


def mark(names: Names, name: str) -> Any:
    """The method that sets a mark, which lasts as long as queues do, and is set again without harm."""
    return binding(names.sink, names.marks, name)


def pausing(names: Names, queue: str) -> list[Any]:
    """The methods that set the mark of a queue that is paused, so that it can be asked for by name too."""
    name = names.pause_mark(queue)
    return [exchange(name, "fanout"), binding(names.sink, name, ""), onward(name, names.marks, name)]


def resuming(names: Names, queue: str) -> list[Any]:
    """The methods that take it away; nothing happens to one that is not there."""
    return [commands.Exchange.Delete(exchange=names.pause_mark(queue))]


async def marked(link: Link, names: Names, wanted: Sequence[str], patience: float) -> set[str]:
    """Those of these names that have been marked. One round trip.

    :raises BlockedError: if the server takes no messages now.
    :raises RabbitError: if the connection broke.
    """
    if link.blocked:
        raise blocked(link.place, link.blocked, certain=True)
    channel = link.reserve()
    missing: set[str] = set()
    channel.on_blocked = channel.close
    channel.on_return = lambda message: missing.add(message.routing_key)
    data = channel.prepare(commands.Channel.Open())
    to = names.marks.encode()
    for name in wanted:
        data += frames.publication(channel.number, link.frame_max, (to, name.encode()), frames.NO_PROPERTIES, b"")
    await channel.finish(data, patience=patience)
    return set(wanted) - missing
