"""Asking the server for deliveries: one question at a time, on a connection of its own."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from typing import Any, cast

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_redis.deliveries import Receipt, StreamNames, by_stream, deliveries_of
from taskiq_core_brokers_redis.errors import RedisError, ScriptMissingError, UnusableRedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.link import Link
from taskiq_core_brokers_redis.location import Location
from taskiq_core_brokers_redis.packing import Argument, pack
from taskiq_core_brokers_redis.scripts import Script

_SHORTEST_WAIT = 0.001
_LONGEST_WAIT = 0.8
"""Seconds without a claim: within them a pause is noticed, and a nudge that went to the dead made up for."""
_MOST = 1000
"""Deliveries of one question, so that no script keeps the server for long."""
_LOW_SHARE = 16
"""One delivery of so many is not of the highest priority, so that the others never starve."""

_NO_CHOICE = 2
"""Streams of one queue with one priority: what was delivered before, and the others."""
_BY_CLAIM = 100
"""Deliveries of a claim where the rest can be read on: a server's script is slow at passing large bodies on."""
_READ_ON = 0.1
"""Seconds that one stream is read on before others are looked at again."""

_HERE = __package__ or ""
_REGISTER = Script(_HERE, "prelude", "returning", "register")
_CLAIM = Script(_HERE, "prelude", "returning", "claim")


class _Question(Enum):
    CLAIM = 1
    MORE = 2
    WAIT = 3


class Reader:
    """Claims by a script that does not wait; when it finds nothing, waits by a blocking read that claims.

    A read may be cancelled; its answer is then given to the next one, or given back when there is none. After the connection
    broke, the reader registers under the next generation of its name, so that nothing stays with it that the server delivered
    and nobody received.

    :param known: what the consumer holds and knows of.
    :param give_back: called with what was delivered and nobody waits for.
    """

    def __init__(
        self,
        location: Location,
        *,
        consumer: str,
        queues: Sequence[str],
        lease: float,
        patience: float,
        known: Callable[[], Collection[Delivery]],
        give_back: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self.consumer = consumer
        self.generation = 0
        self.lease_ms = round(lease * 1000)
        self._root = location.root
        self._names = StreamNames(location.root)
        self._queues = tuple(queues)
        self._known, self._give_back = known, give_back
        self._line = Line(location.server, patience=patience, prepare=self._note_client)
        self._client_id = 0
        self._registered_on: Link | None = None
        self._reading: asyncio.Future[Any] | None = None
        self._question = _Question.CLAIM
        self._asked_for = 0
        self._understood = time.monotonic()
        self._backlog: bytes | None = None
        self._backlog_until = 0.0
        self._wait_for: Sequence[bytes] = ()
        self._wait_until = 0.0
        self._choice = True
        self._low = self._claims = self._shares = 0

    @property
    def seconds_unheard(self) -> float:
        """How long ago the last answer was understood; what was delivered since then we may not know of yet."""
        return 0.0 if self._reading is None else time.monotonic() - self._understood

    async def open(self) -> None:
        """Connect and register; what passes by itself is left to the first read.

        :raises UnusableRedisError: if that will never work, for want of a right for instance.
        """
        try:
            await self._register()
        except UnusableRedisError:
            await self._line.close()
            raise
        except RedisError:
            return

    async def read(self, limit: int) -> Sequence[Delivery]:
        """Wait for deliveries and return some, at most as many as asked for by this call or by the cancelled one before it.

        :raises RedisError: if the server cannot be reached.
        """
        limit = min(limit, _MOST)
        while True:
            reading = self._take_over() or self._more(limit) or self._wait(limit) or await self._claim(limit)
            try:
                reply = await asyncio.shield(reading)
            except asyncio.CancelledError:
                reading.add_done_callback(self._unwanted)
                raise
            except ScriptMissingError:
                self._reading = None
                await self._line.call("SCRIPT", "LOAD", _CLAIM.text)
                continue
            except RedisError as error:
                self._reading = None
                self._line.blame(error)
                raise
            self._reading = None
            taken = self._take(self._understand(reply))
            if taken:
                return taken

    async def close(self, timeout: float, commands: Line) -> None:
        """End a blocking read, so that nothing is delivered to us from now on, and close the connection."""
        try:
            reading = self._reading
            if reading is not None and not reading.done():
                with contextlib.suppress(RedisError), anyio.move_on_after(timeout):
                    if self._question is _Question.WAIT:
                        await commands.call("CLIENT", "UNBLOCK", self._client_id)
                    await asyncio.shield(reading)
        finally:
            self._reading = None
            await self._line.close()

    # -- questions ------------------------------------------------------------------------------------------------------------

    async def _claim(self, limit: int) -> asyncio.Future[Any]:
        link = await self._line.link()
        if link is not self._registered_on:
            link = await self._register()
        if not self._choice:
            limit = min(limit, _BY_CLAIM)
        self._low += limit
        low, self._low = divmod(self._low, _LOW_SHARE)
        self._claims += 1
        self._shares += low > 0
        head = (self.consumer, self.generation, limit, low, self.lease_ms)
        arguments: tuple[Argument, ...] = (*head, self._claims, self._shares, *self._queues)
        return self._ask(link, _Question.CLAIM, limit, _CLAIM.pack(self._root, arguments))

    def _more(self, limit: int) -> asyncio.Future[Any] | None:
        """Read on where the last claim found a backlog."""
        link = self._line.current
        if self._backlog is None or time.monotonic() > self._backlog_until or link is not self._registered_on or link is None:
            return None
        return self._ask(link, _Question.MORE, limit, self._read_group(limit, (), [self._backlog]))

    def _ask(self, link: Link, question: _Question, limit: int, packed: bytes, blocking: float = 0.0) -> asyncio.Future[Any]:
        self._question, self._asked_for = question, limit
        self._reading = link.send(packed, blocking=blocking)
        return self._reading

    def _read_group(self, limit: int, options: Sequence[Argument], streams: Sequence[bytes]) -> bytes:
        head = ("XREADGROUP", "GROUP", "workers", f"{self.consumer}.{self.generation}", "COUNT", limit, *options)
        return pack((*head, "STREAMS", *streams, *[">"] * len(streams)))

    async def _register(self) -> Link:
        link = await self._line.link()
        self.generation += 1
        queues: tuple[Argument, ...] = (len(self._queues), *self._queues)
        arguments = (self.consumer, self.generation, self.lease_ms, *queues, *by_stream(self._known()))
        await self._line.run(_REGISTER, self._root, *arguments)
        self._registered_on = link
        return link

    def _wait(self, limit: int) -> asyncio.Future[Any] | None:
        """Wait for what the last claim has said, as long as it holds; what comes one by one needs no claim in between."""
        link, left = self._line.current, self._wait_until - time.monotonic()
        count = max(1, limit // max(1, len(self._wait_for)))  # each of them may answer with so many
        if left < _SHORTEST_WAIT or link is not self._registered_on or link is None:
            return None
        packed = self._read_group(count, ("BLOCK", round(left * 1000)), self._wait_for)
        return self._ask(link, _Question.WAIT, count, packed, left)

    async def _note_client(self, link: Link) -> None:
        self._client_id = await link.call("CLIENT", "ID")

    # -- answers --------------------------------------------------------------------------------------------------------------

    def _understand(self, reply: Any) -> Sequence[Any]:
        """What was found; notes what to ask next."""
        self._understood = time.monotonic()
        if self._question is not _Question.CLAIM:
            found: Sequence[Any] = list(reply.items()) if reply else []
            full = any(len(entries) == self._asked_for for _, entries in found)
            if self._question is _Question.WAIT and (full or not found):
                self._wait_until = 0.0
            if self._question is _Question.MORE and not full:
                self._backlog = None
            return found
        self._backlog, self._wait_until = None, 0.0
        if reply is None:
            self._registered_on = None  # our lease has ended
            return ()
        wait_ms, streams, found, existing = cast("tuple[int, Sequence[bytes], Sequence[Any], int]", reply)
        now = time.monotonic()
        self._choice = existing > _NO_CHOICE
        if not self._choice and len(found) == 1 and len(found[0][1]) == self._asked_for:
            self._backlog, self._backlog_until = found[0][0], now + _READ_ON
        if streams:
            # A third of the lease, so that what is delivered at its end has most of it left.
            self._wait_for, self._wait_until = streams, now + min(wait_ms / 1000, _LONGEST_WAIT, self.lease_ms / 3000)
        return found

    def _take(self, found: Sequence[Any]) -> list[Delivery]:
        taken, nudges = deliveries_of(found, self._names)
        if nudges:
            self._wait_until = 0.0  # they mean: claim
            self._drop(nudges)
        return taken

    def _drop(self, nudges: Sequence[Receipt]) -> None:
        link = self._line.current
        if link is None:
            return
        for nudge in nudges:
            link.send(pack(("XACK", nudge.stream, "workers", nudge.entry))).add_done_callback(_ignore)

    def _take_over(self) -> asyncio.Future[Any] | None:
        if self._reading is not None:
            self._reading.remove_done_callback(self._unwanted)
        return self._reading

    def _unwanted(self, reading: asyncio.Future[Any]) -> None:
        if self._reading is not reading:  # the next read has taken it over
            return
        self._reading = None
        if reading.cancelled() or reading.exception() is not None:
            return
        taken = self._take(self._understand(reading.result()))
        if taken:
            self._give_back(taken)


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
