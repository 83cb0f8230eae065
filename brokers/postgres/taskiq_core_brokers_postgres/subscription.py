"""One consumer: what it receives, holds and settles."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.exceptions import BrokerError
from taskiq_core.ids import new_consumer_id
from taskiq_core.leaving import give_back
from taskiq_core_brokers_postgres import dead_letters, parking, thread_client
from taskiq_core_brokers_postgres.bell import Bell
from taskiq_core_brokers_postgres.claiming import Claim
from taskiq_core_brokers_postgres.database import Database
from taskiq_core_brokers_postgres.known_claims import KnownClaims
from taskiq_core_brokers_postgres.leases import Leases
from taskiq_core_brokers_postgres.settling import Settling, new_insert
from taskiq_core_brokers_postgres.upkeep import Upkeep

logger = logging.getLogger("taskiq.postgres")

_UPKEEP = 0.05
"""Seconds between two looks at what is due while there is always something to receive, or nothing that can be had."""


class PostgresSubscription(Subscription):
    """A consumer of some queues. Its lease is one row, however much it holds."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        queues: Sequence[str],
        *,
        lease: float,
        poll_interval: float,
        dead_ttl: float | None,
    ) -> None:
        self.consumer = new_consumer_id()
        self.lease = lease
        self._database = database
        self._bell = bell
        self._queues = tuple(dict.fromkeys(queues))
        self._poll_interval = poll_interval
        self._dead_ttl = dead_ttl
        self._claim = Claim(self._queues, self.consumer, lease)
        self._known = KnownClaims()
        self._leases = Leases(database, self._claim.worker, self.consumer, self._queues, lease)
        self._upkeep = Upkeep(database, self._queues, self._leases, self._claim.worker)
        self._next_upkeep = 0.0
        self._may_have_more = True
        self._result_ttl: float | None = None
        self._insert = new_insert()
        self._background: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._bell.start()
        # What can never work is said here, rather than by each receive. And who has a lease sees that it ended, in an outage.
        await self._leases.renew()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await give_back(self._leave, "PostgreSQL", self.lease, logger)

    async def _leave(self) -> None:
        while self._background:  # a claim that was cancelled may still be under way
            await asyncio.wait(self._background)
        await self._leases.leave()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        in_vain = False
        while True:
            if self._may_have_more:
                taken = await self._take(limit)
                self._may_have_more = len(taken) == limit
                if taken:
                    return taken
            with self._bell.listen(self._queues) as rung:
                if in_vain:  # somebody may have locked what is ready, for as long as that takes
                    await _heard(rung, _UPKEEP)
                await self._wait(rung)
            self._may_have_more = in_vain = True

    async def _wait(self, rung: asyncio.Event) -> None:
        """Return when there may be something to claim. Looks once after the bell is up, so that no ring is missed."""
        late = False
        while True:
            rung.clear()
            outlook = await self._upkeep.run()
            if outlook.ready:
                return
            if outlook.left > 0:
                late, pause = False, min(outlook.left, self._poll_interval)
            else:  # what was due has been seen to, unless somebody has locked it
                late, pause = True, _UPKEEP if late else 0.0
            if await _heard(rung, pause):
                return

    async def _take(self, limit: int) -> list[Delivery]:
        """Claim. What a cancelled call has claimed is given back."""
        if time.monotonic() >= self._next_upkeep:
            await self._upkeep.run(ready=False)
            self._next_upkeep = time.monotonic() + _UPKEEP
        self._known.begin()
        claiming: asyncio.Task[list[Delivery]] = self._start(self._claim.take(self._database, limit))
        try:
            taken = await asyncio.shield(claiming)
        except asyncio.CancelledError:
            self._start(self._give_back(claiming))
            raise
        except BrokerError:
            self._known.end()
            raise
        self._known.end(taken)
        return taken

    async def _give_back(self, claiming: asyncio.Task[list[Delivery]]) -> None:
        try:
            taken = await claiming
            if taken:
                await self._claim.give_back(self._database, taken)
        except BrokerError as error:  # then the end of the lease, or of the subscription, does the same
            logger.warning("Some messages could not be given back yet: %s", error)
        finally:
            self._known.end()

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if settlements:
            # Carried out whoever is cancelled here, and before this consumer leaves: else what is done would be done again.
            settling = Settling(settlements, self._result_ttl)
            await asyncio.shield(self._start(settling.carry_out(self._database, self._insert)))
            if settling.gives_back:
                self._claim.rewind()

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        mark = self._known.mark()
        was_over, number = await self._leases.renew()
        if was_over:
            self._upkeep.reprieve()
        lost = await self._leases.part(deliveries, self._known.until(mark, number))
        await self._leases.adopt()
        if self._dead_ttl is not None:  # here, for the worker calls this every third of a lease, whatever else it does
            await dead_letters.expire(self._database, self._dead_ttl)
        return lost

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        return thread_client.renew(self._database.location, self._claim.worker, self._leases.seconds, self._database.patience)

    def stop_receiving(self) -> None:
        retiring = self._start(self._quietly(self._leases.retire()))
        self._database.retiring.add(retiring)
        retiring.add_done_callback(self._database.retiring.discard)

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        self._start(self._quietly(self._leases.forget(deliveries)))

    async def unpark(self, counts: Mapping[str, int]) -> None:
        await parking.unpark(self._database, counts)
        self._claim.rewind()

    def stores_results_of(self, backend: Any) -> bool:
        same = getattr(getattr(backend, "location", None), "place", None) == self._database.location.place
        if same:
            self._result_ttl = backend.result_ttl
        return same

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await self._leases.bury(consumer, accused)
        self._claim.rewind()

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody else misses it

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BrokerError as error:  # then the end of the lease, or of the subscription, does the same
            logger.warning("PostgreSQL could not be told that messages are forgotten, or that none are received: %s", error)


async def _heard(rung: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        return False
    return True
