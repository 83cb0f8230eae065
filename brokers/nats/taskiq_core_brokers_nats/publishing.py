"""Publishing a batch in one write."""

import asyncio
import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import NatsError, explain, lost, nobody_answers
from taskiq_core_brokers_nats.link import Link, Msg, pub

LONGEST_SUBJECT = 3800
"""Characters. A server takes a line of 4096 bytes, in which the subject for the answer and two numbers stand too."""
_STORED = re.compile(rb'^\{"stream":"[^"]*", ?"seq": ?([0-9]+)')


class Item(NamedTuple):
    """One message to publish."""

    subject: str
    headers: bytes
    data: bytes


class _Batch:
    def __init__(self, link: Link, count: int) -> None:
        self.results: list[int | NatsError | None] = [None] * count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._link = link
        self._left = count

    def answered(self, index: int, answer: Msg | NatsError) -> None:
        if isinstance(answer, NatsError):
            self.results[index] = answer
        elif answer.status == "503":
            self.results[index] = nobody_answers(self._link.place, "a publish")
        else:
            stored = _STORED.search(answer.data)  # a fifth of the time that it takes to read it as JSON
            self.results[index] = int(stored[1]) if stored is not None else self._refusal(answer.data)
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)

    def _refusal(self, data: bytes) -> NatsError:
        error: dict[str, Any] = json.loads(data)["error"]
        return explain(error.get("err_code", 0), error.get("description", ""), self._link.place)


def _fits(item: Item, link: Link) -> bool:
    return len(item.headers) + len(item.data) <= link.max_payload and len(item.subject) <= LONGEST_SUBJECT


def _too_big(item: Item, link: Link) -> NatsError:
    """The server would end the connection, with all that is in flight."""
    size = len(item.headers) + len(item.data)
    reason = (
        f"NATS at {link.place} takes {link.max_payload} bytes with a subject of {LONGEST_SUBJECT}, and these are "
        f"{size} with a subject of {len(item.subject)}: raise max_payload there."
    )
    return NatsError(reason=reason)


async def publish_all(connection: Connection, items: Sequence[Item], timeout: float) -> list[int | NatsError]:
    """Publish; returns for each its number in the stream, or why there is none.

    Once it is written, cancelling takes nothing back.

    :raises NatsError: if there is no connection; nothing was written then.
    """
    link = await connection.usable()
    fitting = [item for item in items if _fits(item, link)]
    if len(fitting) < len(items):
        results = iter(await publish_all(connection, fitting, timeout) if fitting else ())
        return [next(results) if _fits(item, link) else _too_big(item, link) for item in items]
    batch = _Batch(link, len(items))
    replies = [link.expect(partial(batch.answered, index)) for index in range(len(items))]
    try:
        link.write(
            b"".join([pub(item.subject, item.data, reply, item.headers) for item, reply in zip(items, replies, strict=True)])
        )
        async with asyncio.timeout(timeout):
            await batch.done
    except TimeoutError:
        pass
    finally:
        if not batch.done.done() or batch.done.cancelled():
            for reply in replies:
                link.drop(reply)
    silence = lost(link.place, f"no answer within {timeout:g} s", certain=False)
    return [silence if result is None else result for result in batch.results]
