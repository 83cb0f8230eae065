"""Publishing with confirms: any number in flight, each batch written at once."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pamqp import commands

from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, RabbitError, blocked, explain_closing, lost
from taskiq_core_brokers_rabbitmq.frames import Incoming, Properties
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.names import delay_key, path
from taskiq_core_brokers_rabbitmq.news import of_level, tell
from taskiq_core_brokers_rabbitmq.size_limit import SizeLimit
from taskiq_core_brokers_rabbitmq.topology import Topology

_PAUSE = 0.05
"""Seconds before what came back is sent again."""


@dataclass(slots=True)
class Letter:
    """A message on its way into a queue of ours or, with `target`, into some queue of AMQP."""

    body: bytes
    queue: str
    level: int
    task_id: str = ""
    headers: Mapping[str, Any] | None = None
    delay: int = 0
    """Milliseconds."""
    target: str | None = None


@dataclass(slots=True)
class _Batch:
    letters: Sequence[Letter]
    first: int
    done: asyncio.Future[None]
    missing: int
    refused: list[Letter] = field(default_factory=list[Letter])
    returned: list[Letter] = field(default_factory=list[Letter])


class Publisher:
    """Of one process; serves senders, and workers that give messages back.

    :param learnt: gets the most bytes that a message may have, when they are known.
    """

    def __init__(self, connector: Connector, topology: Topology, patience: float, learnt: Callable[[int], None]) -> None:
        self.connector = connector
        self._topology = topology
        self._patience = patience
        self._sizes = SizeLimit(topology, patience, learnt)
        self._channel: Channel | None = None
        self._nonce = ""
        self._number = 0
        self._waiting: dict[int, _Batch] = {}
        self._opening = asyncio.Lock()
        self._working: set[asyncio.Task[None]] = set()

    async def publish(self, letters: Sequence[Letter]) -> None:
        """Return when all are accepted and on disk. What comes back is sent again, until the patience is over.

        Cancelling leaves the outcome unknown; it goes on meanwhile, so that a batch is not cut in two.

        :raises RabbitError: its `certain` says whether none was accepted.
        """
        work = asyncio.get_running_loop().create_task(self._publish_all(letters))
        self._working.add(work)
        work.add_done_callback(self._ended)
        await asyncio.shield(work)

    def _ended(self, work: asyncio.Task[None]) -> None:
        self._working.discard(work)
        if not work.cancelled():
            work.exception()  # told to whoever waited; nobody else misses it

    async def _publish_all(self, letters: Sequence[Letter]) -> None:
        left, end = letters, time.monotonic() + self._patience
        while True:
            try:
                batch, link = await self._publish(left)
            except RabbitError as error:
                if error.certain and len(left) < len(letters):
                    raise RabbitError(reason=error.reason, certain=False, passing=error.passing) from error
                raise
            left = [*batch.returned, *batch.refused]
            if not left:
                return
            if batch.returned:
                link.declared.clear()  # somebody has deleted queues
            if time.monotonic() > end:
                which = f"{len(left)} of {len(letters)} messages"
                why = "has no queue for" if batch.returned else "refused (a queue is full, or its replicas are away)"
                raise RabbitError(reason=f"RabbitMQ at {link.place} {why} {which}.", certain=len(left) == len(letters))
            await asyncio.sleep(_PAUSE)

    async def _publish(self, letters: Sequence[Letter]) -> tuple[_Batch, Link]:
        channel, link = await self._open()
        if link.blocked:
            raise blocked(link.place, link.blocked, certain=True)
        await self._prepare(link, letters)
        await self._sizes.check(link, (len(letter.body) for letter in letters))
        if channel.closed is not None:
            raise lost(link.place, "the connection broke", certain=True)
        batch = self._write(channel, link, letters)
        try:
            async with asyncio.timeout(self._patience):
                await batch.done
        except TimeoutError:
            if link.blocked:
                raise blocked(link.place, link.blocked, certain=False) from None
            link.abort(f"no confirm for {self._patience:g} s")
            raise lost(link.place, f"no confirm for {self._patience:g} s", certain=False) from None
        except ChannelClosedError as error:
            self._sizes.learn(error)
            raise RabbitError(reason=explain_closing(link.place, error).reason, certain=False, passing=True) from error
        return batch, link

    async def tell(self, text: str, to: str | None = None) -> bool:
        """Tell all workers, or the one that hears from the queue `to`. Nobody waits for that to arrive.

        Returns False if the server takes no messages now.

        :raises RabbitError: if there is no connection.
        """
        channel, link = await self._open()
        if link.blocked or channel.closed is not None:
            return False
        self._number += 1  # the server counts it
        address = (self._topology.names.news.encode(), b"") if to is None else (b"", to.encode())
        link.write(frames.publication(channel.number, link.frame_max, address, frames.NO_PROPERTIES, text.encode()))
        return True

    async def _open(self) -> tuple[Channel, Link]:
        async with self._opening:
            link = await self.connector.link()
            if self._channel is None or self._channel.closed is not None or self._channel.wire is not link:
                channel = link.reserve()
                channel.on_confirm, channel.on_return, channel.on_closed = self._confirmed, self._returned, self._closed
                await channel.call(commands.Channel.Open(), commands.Confirm.Select(), patience=self._patience)
                self._channel, self._number, self._nonce = channel, 0, os.urandom(6).hex()
            return self._channel, link

    async def _prepare(self, link: Link, letters: Sequence[Letter]) -> None:
        """Declare what they need."""
        topology = self._topology
        if any(letter.target is not None for letter in letters):
            await topology.ensure_base(link)
        places = {(letter.queue, letter.level) for letter in letters if letter.target is None}
        fresh = [place for place in places if topology.names.ready(*place) not in link.declared]
        if fresh:
            await topology.ensure(link, fresh)
            await tell(link, topology.names, [of_level(*place) for place in fresh], self._patience)
        steps: dict[tuple[str, int], set[int]] = {}
        for letter in letters:
            if letter.delay > 0 and letter.target is None:
                steps.setdefault((letter.queue, letter.level), set()).update(path(letter.delay))
        for place, indexes in steps.items():
            await topology.ensure_delays(link, place, indexes)

    def _write(self, channel: Channel, link: Link, letters: Sequence[Letter]) -> _Batch:
        batch = _Batch(letters, self._number + 1, asyncio.get_running_loop().create_future(), len(letters))
        batch.done.add_done_callback(_seen)
        ready = self._topology.names.ready
        keys: dict[tuple[str, int], bytes] = {}
        parts: list[bytes] = []
        for letter in letters:
            self._number += 1
            self._waiting[self._number] = batch
            nonce = f"{self._nonce}-{self._number:x}"
            properties = frames.pack_properties(Properties(letter.headers, None, nonce, letter.task_id))
            exchange = b""
            if letter.target is not None:
                key = letter.target.encode()
            elif letter.delay > 0:
                steps = path(letter.delay)
                exchange = self._topology.names.step(steps[0]).encode()
                key = delay_key(steps, letter.queue, letter.level).encode()
            else:
                place = (letter.queue, letter.level)
                key = keys.get(place) or keys.setdefault(place, ready(*place).encode())
            parts.append(frames.publication(channel.number, link.frame_max, (exchange, key), properties, letter.body))
        link.write(b"".join(parts))
        return batch

    # -- answers ------------------------------------------------------------------------------------------------------------

    def _confirmed(self, number: int, multiple: bool, accepted: bool) -> None:
        if not multiple:
            self._answer(number, accepted)
            return
        while self._waiting and (first := next(iter(self._waiting))) <= number:
            self._answer(first, accepted)

    def _answer(self, number: int, accepted: bool) -> None:
        batch = self._waiting.pop(number, None)
        if batch is not None:
            batch.missing -= 1
            if not accepted:
                batch.refused.append(batch.letters[number - batch.first])
            if not batch.missing and not batch.done.done():
                batch.done.set_result(None)

    def _returned(self, message: Incoming) -> None:
        nonce = frames.unpack_properties(message.properties).nonce
        head, _, number = nonce.rpartition("-")
        if head == self._nonce and (batch := self._waiting.get(int(number, 16))) is not None:
            batch.returned.append(batch.letters[int(number, 16) - batch.first])

    def _closed(self, error: RabbitError) -> None:
        waiting, self._waiting = self._waiting, {}
        for batch in waiting.values():
            if not batch.done.done():
                uncertain = RabbitError(reason=error.reason, certain=False, passing=error.passing)
                batch.done.set_exception(uncertain if error.certain else error)


def _seen(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
