"""Asking the server for deliveries: one question at a time, on a connection of its own."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_redis.deliveries import Receipt, StreamNames, by_stream, deliveries_of
from taskiq_core_brokers_redis.errors import RedisError, ScriptMissingError, UnusableRedisError
from taskiq_core_brokers_redis.line import Line
from taskiq_core_brokers_redis.link import Link
from taskiq_core_brokers_redis.location import Location
from taskiq_core_brokers_redis.packing import Argument, pack
from taskiq_core_brokers_redis.plan import Kind, Plan, Question
from taskiq_core_brokers_redis.scripts import Script

_REGISTER = Script("returning", "leases", "register")
_CLAIM = Script("delayed", "parking", "returning", "claim")


class Reader:
    """Asks what its plan says, and understands the answers.

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
        self._plan = Plan(lease)
        self._question: Question | None = None
        self._understood = time.monotonic()

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
        except BaseException as error:
            if isinstance(error, RedisError) and not isinstance(error, UnusableRedisError):
                return
            with anyio.CancelScope(shield=True):
                await self._line.close()
            raise

    async def read(self, limit: int) -> Sequence[Delivery]:
        """Wait for deliveries and return some, at most as many as asked for by this call or by the cancelled one before it.

        :raises RedisError: if the server cannot be reached.
        """
        while True:
            reading = self._take_over() or await self._ask(limit)
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
            taken = self._understand(reply)
            if taken:
                return taken

    async def close(self, timeout: float, commands: Line) -> None:
        """End a blocking read, so that nothing is delivered to us from now on, and close the connection."""
        try:
            reading = self._reading
            if reading is not None and not reading.done():
                with contextlib.suppress(RedisError), anyio.move_on_after(timeout):
                    if self._question is not None and self._question.kind is Kind.WAIT:
                        await commands.call("CLIENT", "UNBLOCK", self._client_id)
                    await asyncio.shield(reading)
        finally:
            self._reading = None
            await self._line.close()

    # -- questions ------------------------------------------------------------------------------------------------------------

    async def _ask(self, limit: int) -> asyncio.Future[Any]:
        link = self._line.current
        if link is None or link is not self._registered_on:
            link = await self._register()
        question = self._question = self._plan.next(limit)
        packed = self._claim(question) if question.kind is Kind.CLAIM else self._read_group(question)
        self._reading = link.send(packed, blocking=question.seconds)
        return self._reading

    def _claim(self, question: Question) -> bytes:
        turns = (self._plan.claims, self._plan.shares)
        head = (self.consumer, self.generation, question.count, question.from_below, self.lease_ms)
        return _CLAIM.pack(self._root, (*head, *turns, *self._queues))

    def _read_group(self, question: Question) -> bytes:
        block = ("BLOCK", max(1, round(question.seconds * 1000))) if question.kind is Kind.WAIT else ()
        head = ("XREADGROUP", "GROUP", "workers", f"{self.consumer}.{self.generation}", "COUNT", question.count, *block)
        return pack((*head, "STREAMS", *question.streams, *[">"] * len(question.streams)))

    async def _register(self) -> Link:
        link = await self._line.link()
        self.generation += 1
        queues: tuple[Argument, ...] = (len(self._queues), *self._queues)
        arguments = (self.consumer, self.generation, self.lease_ms, *queues, *by_stream(self._known()))
        await self._line.run(_REGISTER, self._root, *arguments)
        self._registered_on = link
        self._plan.claim_next()
        return link

    async def _note_client(self, link: Link) -> None:
        self._client_id = await link.call("CLIENT", "ID")

    # -- answers --------------------------------------------------------------------------------------------------------------

    def _understand(self, reply: Any) -> list[Delivery]:
        self._understood = time.monotonic()
        assert self._question is not None
        found = self._plan.learn(self._question, reply)
        if found is None:
            self._registered_on = None
            return []
        taken, nudges = deliveries_of(found, self._names)
        if nudges:
            self._plan.claim_next()
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
        taken = self._understand(reading.result())
        if taken:
            self._give_back(taken)


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
