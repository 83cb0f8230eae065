"""Queues and dead letters of a server."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from taskiq_core.abc.evacuation import Evacuation
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import Cemetery
from taskiq_core_brokers_nats.errors import CONSUMER_NOT_FOUND, NatsError
from taskiq_core_brokers_nats.evacuation import NatsEvacuation
from taskiq_core_brokers_nats.headers import DELAY, fields_of
from taskiq_core_brokers_nats.link import Msg
from taskiq_core_brokers_nats.names import DELAYED
from taskiq_core_brokers_nats.pulls import Pull, Pulls
from taskiq_core_brokers_nats.receipt import Receipt, receipt_of
from taskiq_core_brokers_nats.settling import acknowledge
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.stream import delete, read_on
from taskiq_core_brokers_nats.topology import Topology

_PAGE = 500


class NatsAdmin(QueueAdmin):
    """Answers from the streams, whoever has written them."""

    def __init__(self, connection: Connection, topology: Topology, state: State, cemetery: Cemetery, lease: float) -> None:
        self._connection = connection
        self._topology = topology
        self._names = topology.names
        self._state = state
        self._cemetery = cemetery
        self._lease = lease

    async def depth(self, queue: str) -> QueueDepth:
        levels = await self._levels(queue)
        counts = await asyncio.gather(*(self._count(queue, level) for level in levels))
        ready = sum(waiting for level, (waiting, _) in zip(levels, counts, strict=True) if level != DELAYED)
        leased = sum(taken for level, (_, taken) in zip(levels, counts, strict=True) if level != DELAYED)
        delayed = sum(sum(count) for level, count in zip(levels, counts, strict=True) if level == DELAYED)
        return QueueDepth(ready, delayed, leased)

    async def _levels(self, queue: str) -> list[str]:
        return sorted((await self._state.read())[1].get(queue, ()))

    async def _count(self, queue: str, level: str) -> tuple[int, int]:
        """What its consumer has not delivered yet, and what it has."""
        try:
            found = await self._connection.api(f"CONSUMER.INFO.{self._names.queues}.{self._names.consumer(queue, level)}")
        except NatsError as error:
            if error.code != CONSUMER_NOT_FOUND:
                raise
            return len(await self._subjects(self._names.filter(queue, level))), 0
        return int(found["num_pending"]), int(found["num_ack_pending"])

    async def _subjects(self, filter_subject: str) -> list[str]:
        subjects: list[str] = []
        while True:
            body = {"subjects_filter": filter_subject, "offset": len(subjects)}
            found = await self._connection.api(f"STREAM.INFO.{self._names.queues}", body)
            page: dict[str, int] = found["state"].get("subjects") or {}
            subjects += page
            if not page or len(subjects) >= found.get("total", 0):
                return subjects

    async def purge(self, queue: str) -> int:
        filter_subject = self._names.filter(queue, DELAYED)
        purged = int((await self._connection.api(f"STREAM.PURGE.{self._names.queues}", {"filter": filter_subject}))["purged"])
        for level in await self._levels(queue):
            if level != DELAYED:
                async for receipts in self._take(queue, level):
                    await acknowledge(self._connection, receipts, self._connection.patience)
                    purged += len(receipts)
                purged += await self._purge_retries(self._names.filter(queue, level))
        return purged

    async def _take(self, queue: str, level: str) -> AsyncGenerator[list[Receipt]]:
        """What waits, as a worker would get it, in pages."""
        name = await self._topology.consumer(queue, level, self._lease)
        pulls = Pulls(self._connection, self._names.queues, _ignore)
        link = await self._connection.usable()
        pulls.begin(link)
        try:
            while True:
                pull = pulls.ask(name, _PAGE)
                async with asyncio.timeout(self._connection.patience):
                    await pull.ended
                if not pull.taken:
                    return
                yield [receipt_of(msg, link.server) for msg in pull.taken]
        finally:
            await pulls.leave()

    async def _purge_retries(self, filter_subject: str) -> int:
        """What was given back with a delay stays with its consumer, and shows by its header."""
        number, purged = 1, 0
        while page := await read_on(self._connection, self._names.queues, filter_subject, number):
            number = int(page[-1]["seq"]) + 1
            waiting = [int(message["seq"]) for message in page if DELAY in _fields(message)]
            purged += await delete(self._connection, self._names.queues, waiting)
        return purged

    async def pause(self, queue: str) -> None:
        await self._state.pause(queue)

    async def resume(self, queue: str) -> None:
        await self._state.resume(queue)

    async def paused(self) -> frozenset[str]:
        return frozenset((await self._state.read())[0])

    async def queues(self) -> frozenset[str]:
        paused, levels = await self._state.read()
        return frozenset(paused | levels.keys())

    def evacuate(self, queue: str) -> Evacuation:
        return NatsEvacuation(self._connection, self._names, self._state, queue)

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return await self._cemetery.page(queue, limit, before)

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return await self._cemetery.find(ids)

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        return await self._cemetery.requeue(ids, bodies or {})

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return await self._cemetery.purge(ids, older_than)


def _fields(message: Mapping[str, Any]) -> dict[str, str]:
    return fields_of(base64.b64decode(message.get("hdrs", "")))


def _ignore(_: Pull, __: Msg) -> None:
    """Requests here do not stand."""
