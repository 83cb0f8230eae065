"""One consumer: what it receives, holds and settles."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.ids import new_consumer_id
from taskiq_core.leaving import give_back
from taskiq_core_brokers_nats import thread_client
from taskiq_core_brokers_nats.connection import Connection, logger
from taskiq_core_brokers_nats.dead_letters import Cemetery
from taskiq_core_brokers_nats.delays import Delays
from taskiq_core_brokers_nats.errors import lost
from taskiq_core_brokers_nats.forgotten import delete_acknowledged
from taskiq_core_brokers_nats.holdings import Holdings
from taskiq_core_brokers_nats.intake import Intake
from taskiq_core_brokers_nats.link import Link, pub
from taskiq_core_brokers_nats.receipt import Receipt
from taskiq_core_brokers_nats.settling import settle, still_there
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.topology import Topology

_LEAVE_TIMEOUT = 1.0
"""Seconds: with what the worker itself needs to stop it stays below the 2 s that stopping may take beyond the grace."""
_QUIET = 1.5
"""Seconds in which nobody receives after a server was started anew: until all workers are connected again, and have said what
they hold."""
_FORGOTTEN = 0.9
"""Part of a lease after which what was forgotten is given back; its end would be counted as a death."""


class NatsSubscription(Subscription):
    """A consumer of some queues."""

    def __init__(
        self,
        connection: Connection,
        topology: Topology,
        state: State,
        cemetery: Cemetery,
        queues: Sequence[str],
        *,
        lease: float,
    ) -> None:
        self.consumer = new_consumer_id()
        self.lease = self._lease = lease
        self._connection = connection
        self._topology = topology
        self._state = state
        self._cemetery = cemetery
        self._queues = names = tuple(dict.fromkeys(queues))
        self._holdings = Holdings(connection, cemetery, lease, self._start)
        self._intake = Intake(connection, topology, state, names, lease=lease, holdings=self._holdings)
        self._delays = Delays(connection, topology, state, names, lease=lease, start=self._start)
        self._background: set[asyncio.Task[Any]] = set()
        self._tending: set[asyncio.Task[None]] = set()
        """Ends when we leave, whether it is done or not."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave_link: Callable[[], None] | None = None
        self._servers: set[str] = set()

    async def __aenter__(self) -> Self:
        link = await self._connection.usable()
        self._intake.begin(link)
        self._delays.begin(link)
        self._servers.add(link.server)
        self._state.on_claims.add(self._holdings.hear)
        self._leave_link = self._connection.on_link(self._linked)
        await self._state.listen(self._changed)
        await self._intake.prepare()
        self._loop = asyncio.get_running_loop()
        self._tend(self._delays.run())
        self._clean()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end_tending()
        self._state.leave(self._changed)
        self._state.on_claims.discard(self._holdings.hear)
        await give_back(self._leave, "NATS", self._lease, logger, timeout=_LEAVE_TIMEOUT)
        if self._leave_link is not None:
            self._leave_link()
        self._end_tending()  # also what a link has begun that came meanwhile

    async def _leave(self) -> None:
        await self._holdings.give_back(self._holdings.all())
        await asyncio.gather(self._intake.leave(), self._delays.leave())
        while self._background:
            await asyncio.wait(self._background)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        return await self._intake.receive(limit)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        # Carried out whoever is cancelled here, and before this consumer leaves: else what is done would be done again.
        if settlements:
            await asyncio.shield(self._start(self._settle(settlements)))

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        await settle(self._connection, self._cemetery, settlements, self._connection.patience)
        for item in settlements:
            self._holdings.settled(item.delivery.receipt, done=True)

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        now = time.monotonic()
        receipts: list[Receipt] = [item.receipt for item in deliveries]
        link = await self._connection.usable()
        link.write(b"".join([pub(item.ack, b"+WPI") for item in receipts if self._holdings.has(item)]))
        try:
            async with asyncio.timeout(self._connection.patience):
                await link.flush()
        except TimeoutError:
            raise lost(link.place, "no answer", certain=False) from None
        if any(item.server != link.server for item in receipts):
            self._holdings.claim(link, self._topology.names.claims)
        # Their leases may have ended, and they may be somebody else's, who has put others in their places then.
        late = [receipt for receipt in receipts if now >= receipt.held_until]
        for receipt in set(late) - set(await still_there(self._connection, late)):
            self._holdings.settled(receipt, done=False)
        for receipt in set(receipts) - set(late):
            receipt.held_until = now + self._lease
        return [delivery for delivery in deliveries if not self._holdings.has(delivery.receipt)]

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        return thread_client.renew(
            self._connection.location, [item.receipt.ack for item in deliveries], self._connection.patience
        )

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        now, loop = time.monotonic(), asyncio.get_running_loop()
        for delivery in deliveries:
            receipt: Receipt = delivery.receipt
            pause = receipt.held_until - now - (1 - _FORGOTTEN) * self._lease
            loop.call_later(max(0.0, pause), self._give_back_forgotten, receipt)

    def _give_back_forgotten(self, receipt: Receipt) -> None:
        if self._holdings.has(receipt):
            self._start(self._holdings.give_back([receipt]))

    def _changed(self) -> None:
        self._intake.wake()
        self._delays.wake()

    def _linked(self, link: Link) -> None:
        """After an outage: first of all we say what we hold."""
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            return  # ours has ended, and nobody has left here
        self._holdings.be_patient()
        if link.server not in self._servers:
            self._servers.add(link.server)
            self._intake.be_quiet(_QUIET)
            self._holdings.clean(self._topology.names.queues)
            self._clean()
        self._holdings.ask(link, self._topology.names.claims)
        link.write(b"".join([pub(item.ack, b"+WPI") for item in self._holdings.all()]))
        self._intake.begin(link)
        self._delays.begin(link)

    def _clean(self) -> None:
        """A server that was killed, and all workers with it, may have kept what is acknowledged."""
        names = self._topology.names
        for queue in self._queues:
            for level in self._state.levels.get(queue, ()):
                self._tend(delete_acknowledged(self._connection, names, queue, level, pause=self._lease))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._run(work, self._background)

    def _end_tending(self) -> None:
        for task in self._tending:
            task.cancel()

    def _tend(self, work: Coroutine[Any, Any, None]) -> None:
        self._run(work, self._tending)

    def _run(self, work: Coroutine[Any, Any, None], place: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        place.add(task)
        task.add_done_callback(place.discard)
        task.add_done_callback(_ended)
        return task


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        # Told to whoever waited. Nobody else misses it: the end of a lease does the same, or the next worker.
        logger.debug("Something could not be told to NATS: %s", error)
