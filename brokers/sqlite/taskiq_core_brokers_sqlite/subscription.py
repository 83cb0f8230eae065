"""Receiving from a database file."""

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.exceptions import BrokerError, ConfigurationError
from taskiq_core.ids import new_consumer_id
from taskiq_core.leaving import LEAVE_TIMEOUT, give_back
from taskiq_core_brokers_sqlite import dead_letters, parking, upkeep
from taskiq_core_brokers_sqlite.connection import Connection, data_version
from taskiq_core_brokers_sqlite.database import Database
from taskiq_core_brokers_sqlite.doorbell import Bell, queue_channel
from taskiq_core_brokers_sqlite.holdings import Holdings

logger = logging.getLogger("taskiq.sqlite")

_MOST_QUEUES = 500
"""As many parts as SQLite takes in one statement."""


class SQLiteSubscription(Subscription):
    """One consumer of some queues. Everything it does to the file is one transaction per call."""

    def __init__(
        self,
        database: Callable[[], Database],
        queues: Sequence[str],
        lease: float,
        poll_interval: float,
        dead_ttl: float | None,
    ) -> None:
        if len(set(queues)) > _MOST_QUEUES:
            reason = f"One worker on SQLite serves at most {_MOST_QUEUES} queues, not {len(set(queues))}: start several."
            raise ConfigurationError(reason=reason)
        self.consumer = new_consumer_id()
        self.lease = lease
        self._find_database = database
        self._queues = tuple(dict.fromkeys(queues))
        self._channels = [queue_channel(queue) for queue in self._queues]
        self._poll_interval = poll_interval
        self._dead_ttl = dead_ttl
        self._holdings = Holdings(self.consumer, self._queues, lease)
        self._result_ttl: float | None = None
        self._seen_version: tuple[int, int] | None = None
        self._may_have_more = True

    async def __aenter__(self) -> Self:
        self._database = self._find_database()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await give_back(self._leave, "the database", self.lease, logger)

    async def _leave(self) -> None:
        await self._database.write(self._holdings.release_all, timeout=LEAVE_TIMEOUT, detached=True)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        while True:
            if self._may_have_more:
                taken = await self._claim(limit)
                self._may_have_more = len(taken) == limit
                if taken:
                    return taken
            # A look costs no transaction, which a settlement would have to wait behind.
            with self._database.doorbell.listen(self._channels) as bell:
                await self._wait(bell)
            self._may_have_more = True

    async def _claim(self, limit: int) -> list[Delivery]:
        taken = await self._database.write(lambda conn: self._holdings.claim(conn, limit), undo=self._holdings.unclaim)
        self._holdings.unseen = ()
        return taken

    async def _wait(self, bell: Bell) -> None:
        """Return when there may be something to claim. Looks once after the bell is up, so that no ring is missed."""
        outlook = await self._database.read(self._look_out)
        while True:
            now = time.time()
            lease_left = max(outlook.next_lease_end - now, self._holdings.leases_count_from - time.monotonic())
            left = min(outlook.next_due - now, lease_left)
            if outlook.ready or left <= 0:
                return
            if await bell.wait(min(left, self._poll_interval)):
                return
            news: upkeep.Outlook | None = await self._database.read(self._look_again)
            outlook = news or outlook

    def _look_out(self, conn: Connection) -> upkeep.Outlook:
        self._seen_version = data_version(conn)
        return upkeep.look_out(conn, self._queues)

    def _look_again(self, conn: Connection) -> upkeep.Outlook | None:
        return None if data_version(conn) == self._seen_version else self._look_out(conn)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        await self._database.write(lambda conn: self._holdings.settle(conn, settlements, self._result_ttl))

    async def extend(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        ttl = self._dead_ttl

        def extend(conn: Connection) -> list[Delivery]:
            if ttl is not None:  # here, for the worker calls this every third of a lease, whatever else it does
                dead_letters.expire(conn, ttl)
            return self._holdings.extend(conn, deliveries)

        return await self._database.write(extend)

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        with contextlib.suppress(BrokerError):  # closed: then everything has been given back, or its lease will do it
            self._database.post(lambda conn: self._holdings.forget(conn, deliveries))

    def extend_from_thread(self, deliveries: Sequence[Delivery]) -> bool:
        try:
            # With what came while the event loop was blocked: it waits for the loop, and nobody else knows of it.
            self._database.write_from_thread(lambda conn: self._holdings.extend(conn, [*deliveries, *self._holdings.unseen]))
        except (BrokerError, TimeoutError):
            return False
        return True

    async def unpark(self, counts: Mapping[str, int]) -> None:
        # A look costs no transaction; who parks after it looks for a free place by itself.
        if await self._database.read(lambda conn: parking.anybody_waits(conn, counts)):
            await self._database.write(lambda conn: parking.unpark(conn, counts))

    def stop_receiving(self) -> None:
        with contextlib.suppress(BrokerError):  # closed: then it is not taken for alive
            # In a locked file it must not stand in the way of what the worker needs in order to leave, which does the same.
            self._database.post(self._holdings.sign_off, timeout=LEAVE_TIMEOUT)

    def stores_results_of(self, backend: Any) -> bool:
        same = getattr(backend, "database", None) is self._find_database()
        if same:
            self._result_ttl = backend.result_ttl
        return same

    async def bury(self, consumer: str, accused: Collection[str]) -> None:
        await self._database.write(lambda conn: upkeep.bury(conn, consumer, accused))
