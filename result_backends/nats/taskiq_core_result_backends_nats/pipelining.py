"""Many requests in one write."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError, lost
from taskiq_core_brokers_nats.link import Msg, pub

WINDOW = 4 << 20
"""Bytes in flight, about: what a server takes at once without calling us slow."""


class Request(NamedTuple):
    """What is asked on a subject."""

    subject: str
    data: bytes = b""
    headers: bytes = b""


Reply = Msg | NatsError


async def ask_all(connection: Connection, requests: Sequence[Request], timeout: float) -> list[Reply]:
    """The answer to each, or what NATS told of the connection instead. Cancelling leaves nothing behind.

    :raises NatsError: if there is no connection, or not all answers have come `timeout` seconds after the last write.
    """
    answers: list[Reply] = []
    start = 0
    while start < len(requests):
        stop, size = start, 0
        while stop < len(requests) and (stop == start or size + len(requests[stop].data) <= WINDOW):
            size += len(requests[stop].data)
            stop += 1
        answers += await _ask(connection, requests[start:stop], timeout)
        start = stop
    return answers


async def _ask(connection: Connection, requests: Sequence[Request], timeout: float) -> list[Reply]:
    link = await connection.usable()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answers: list[Reply | None] = [None] * len(requests)
    left = len(requests)

    def take(number: int) -> Callable[[Reply], None]:
        def answered(reply: Reply) -> None:
            nonlocal left
            answers[number] = reply
            left -= 1
            if not left and not done.done():
                done.set_result(None)

        return answered

    replies = [link.expect(take(number)) for number in range(len(requests))]
    try:
        link.write(
            b"".join(pub(one.subject, one.data, reply, one.headers) for one, reply in zip(requests, replies, strict=True))
        )
        async with asyncio.timeout(timeout):
            await done
    except TimeoutError:
        raise lost(link.place, f"no answer within {timeout:g} s", certain=False) from None
    finally:
        for reply in replies if left else ():
            link.drop(reply)
    return [answer for answer in answers if answer is not None]
