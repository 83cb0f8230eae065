"""Any number of requests, as many in one write as a server takes at once."""

from collections.abc import Sequence

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import lost
from taskiq_core_brokers_nats.pipelining import Item, Reply, ask_together

WINDOW = 4 << 20
"""Bytes in flight, about: what a server takes at once without calling us slow."""


async def ask_all(connection: Connection, items: Sequence[Item], timeout: float) -> list[Reply]:
    """The answer to each, or what NATS told of the connection instead. Cancelling leaves nothing behind.

    :raises NatsError: if there is no connection, or not all answers have come `timeout` seconds after the last write.
    """
    answers: list[Reply] = []
    start = 0
    while start < len(items):
        stop, size = start, 0
        while stop < len(items) and (stop == start or size + len(items[stop].data) <= WINDOW):
            size += len(items[stop].data)
            stop += 1
        answers += await _ask(connection, items[start:stop], timeout)
        start = stop
    return answers


async def _ask(connection: Connection, items: Sequence[Item], timeout: float) -> list[Reply]:
    link = await connection.usable()
    replies = [reply for reply in await ask_together(link, items, timeout) if reply is not None]
    if len(replies) < len(items):
        raise lost(link.place, f"no answer within {timeout:g} s", certain=False)
    return replies
