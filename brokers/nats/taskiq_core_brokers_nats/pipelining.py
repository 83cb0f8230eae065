"""Many requests in one write."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from taskiq_core_brokers_nats.errors import NatsError
from taskiq_core_brokers_nats.link import Link, Msg, pub

Reply = Msg | NatsError


class Item(NamedTuple):
    """What is published, or asked, on a subject."""

    subject: str
    headers: bytes = b""
    data: bytes = b""


class _Batch:
    def __init__(self, count: int) -> None:
        self.replies: list[Reply | None] = [None] * count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = count
        if self.complete:
            self.end()

    def answered(self, index: int, reply: Reply) -> None:
        self.replies[index] = reply
        self._left -= 1
        if self._left == 0:
            self.end()

    @property
    def complete(self) -> bool:
        return self._left == 0

    def end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def ask_together(link: Link, items: Sequence[Item], timeout: float | None) -> list[Reply | None]:
    """The answer to each, or what became of the connection instead; None where there is none within `timeout` seconds.

    Without a `timeout` the caller sees to it that this ends.

    Cancelling leaves nothing behind. What is written by then may be carried out.

    :raises NatsError: if the link is broken; nothing was written then.
    """
    batch = _Batch(len(items))
    inboxes = [link.expect(partial(batch.answered, index)) for index in range(len(items))]
    over = None if timeout is None else asyncio.get_running_loop().call_later(timeout, batch.end)
    try:
        link.write(
            b"".join([pub(item.subject, item.data, inbox, item.headers) for item, inbox in zip(items, inboxes, strict=True)])
        )
        await batch.done
    finally:
        if over is not None:
            over.cancel()
        if not batch.complete:
            for inbox in inboxes:
                link.drop(inbox)
    return batch.replies
