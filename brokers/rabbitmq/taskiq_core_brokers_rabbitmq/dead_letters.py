"""Dead letters: what stands beside a body, and finding, requeueing and deleting them."""

import hashlib
import heapq
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from taskiq_core import clock
from taskiq_core.dead_bounds import DETAIL_BYTES, cut_reason
from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.browsing import QueueBrowser, browsing
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.envelope import ATTEMPTS, number
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.names import queue_of
from taskiq_core_brokers_rabbitmq.publisher import Letter, Publisher
from taskiq_core_brokers_rabbitmq.topology import Topology

QUEUE, LEVEL, REASON, DIED, DETAIL = (f"taskiq-{name}" for name in ("queue", "level", "reason", "died", "detail"))
"""Headers; `DIED` is in milliseconds since the epoch."""
_FEW = 500
"""Messages of one step."""


def dead_headers(queue: str, level: int, reason: str, *, attempts: int, detail: bytes | None) -> dict[str, Any]:
    """What makes a message a dead letter. Cut, as the server takes no headers that are longer than one frame."""
    headers = {QUEUE: queue, LEVEL: level, REASON: cut_reason(reason), DIED: round(clock.time() * 1000), ATTEMPTS: attempts}
    return headers if detail is None else {**headers, DETAIL: bytearray(detail[:DETAIL_BYTES])}


class DeadLetters:
    """The queue of AMQP that holds them. Each call looks through all of it.

    :param connect: makes a connector for one call.
    """

    def __init__(self, connect: Callable[[], Connector], topology: Topology, publisher: Publisher) -> None:
        self._connect = connect
        self._topology = topology
        self._publisher = publisher

    async def newest(self, queue: str | None, limit: int, before: str | None) -> Sequence[DeadLetter]:
        """As `QueueAdmin.dead_letters`."""
        async with browsing(self._connect(), self._topology.names.dead) as browser:
            found = (letter for _, letter in self._read(browser))
            chosen = (item for item in found if queue in {None, item.queue} and (before is None or item.id < before))
            return heapq.nlargest(limit, chosen, key=lambda item: item.id)

    async def find(self, ids: Collection[str]) -> Sequence[DeadLetter]:
        """Those that exist, in the order of `ids`."""
        async with browsing(self._connect(), self._topology.names.dead) as browser:
            found = {letter.id: letter for _, letter in self._read(browser)}
        return [found[item] for item in ids if item in found]

    async def requeue(self, ids: Collection[str], bodies: Mapping[str, bytes]) -> int:
        """Put them into their queues as if new; how many there were. Who dies in between leaves them in both places."""
        wanted = set(ids)
        async with browsing(self._connect(), self._topology.names.dead) as browser:
            chosen = [(message, letter) for message, letter in self._read(browser) if letter.id in wanted]
            for start in range(0, len(chosen), _FEW):
                some = chosen[start : start + _FEW]
                await self._publisher.publish(
                    [
                        Letter(bodies.get(letter.id, letter.body), letter.queue, _level(message), letter.task_id)
                        for message, letter in some
                    ]
                )
                await browser.remove([message for message, _ in some])
        return len(chosen)

    async def purge(self, ids: Collection[str] | None, older_than: float | None) -> int:
        """Delete some, or all, or those that died more than `older_than` seconds ago; how many."""
        before = math.inf if older_than is None else clock.time() - older_than
        wanted = None if ids is None else set(ids)
        async with browsing(self._connect(), self._topology.names.dead) as browser:
            chosen = [
                message
                for message, letter in self._read(browser)
                if (wanted is None or letter.id in wanted) and letter.died_at < before
            ]
            await browser.remove(chosen)
        return len(chosen)

    def _read(self, browser: QueueBrowser) -> Iterator[tuple[Incoming, DeadLetter]]:
        return ((message, _letter(message, self._topology.delivery_limit)) for message in browser.messages)


def _letter(message: Incoming, limit: int) -> DeadLetter:
    """Of a message that we have rejected, that the server gave up at the `limit`, or that somebody else has put there."""
    properties = frames.unpack_properties(message.properties)
    headers = properties.headers or {}
    dropped = _dropped(headers)
    at = dropped.get("time")
    died = number(headers, DIED) or (round(1000 * at.timestamp()) if isinstance(at, datetime) else 0)
    sender, _, count = properties.nonce.rpartition("-")
    mark = f"{sender}-{count:0>12}" if properties.nonce else hashlib.blake2b(message.body, digest_size=9).hexdigest()
    queue = headers.get(QUEUE) or _queue_in(str(dropped.get("queue", "")))
    reason = headers.get(REASON) or (
        "its holders were lost too often (delivery_limit)" if dropped else "somebody else has put it here"
    )
    detail = headers.get(DETAIL)
    attempts = number(headers, ATTEMPTS) + (limit + 1 if dropped else 0)
    return DeadLetter(
        f"{died:013d}-{mark}",
        message.body,
        str(queue),
        str(reason),
        died / 1000,
        attempts,
        properties.task_id,
        None if detail is None else bytes(detail),
    )


def _dropped(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the server says of a message that it has given up itself."""
    deaths = cast("Sequence[Mapping[str, Any]]", headers.get("x-death") or ())
    return deaths[0] if deaths else {}


def _queue_in(name: str) -> str:
    """The queue that a name of ours stands for."""
    parts = name.rsplit(":", 2)
    return queue_of(parts[-2]) if len(parts) == 3 else DEFAULT_QUEUE


def _level(message: Incoming) -> int:
    headers = frames.unpack_properties(message.properties).headers or {}
    name = str(_dropped(headers).get("queue", ""))
    level = name.rpartition(":")[2] if name else ""
    return number(headers, LEVEL) if LEVEL in headers else int(level) if level.isdigit() else DEFAULT_PRIORITY
