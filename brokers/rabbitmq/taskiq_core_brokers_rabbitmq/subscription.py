"""One consumer: what it receives, holds and settles."""

import asyncio
import logging
import os
import uuid
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from pamqp import commands

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement
from taskiq_core.exceptions import BrokerError
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.errors import RabbitError, UnusableRabbitError
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.publisher import Publisher
from taskiq_core_brokers_rabbitmq.session import Session
from taskiq_core_brokers_rabbitmq.settling import Settler
from taskiq_core_brokers_rabbitmq.topology import Topology

logger = logging.getLogger("taskiq.rabbitmq")

_LEAVE_TIMEOUT = 0.4
"""Seconds: with what the worker itself needs to stop it stays below the 2 s that stopping may take beyond the grace."""
_IDLE = 0.5
"""Seconds without a receive after which nothing is asked for any more, and what has come unasked is given back."""


class RabbitSubscription(Subscription):
    """A consumer of some queues, on a connection of its own. What it holds is its own as long as that connection lives."""

    def __init__(self, connector: Connector, topology: Topology, publisher: Publisher, queues: Sequence[str]) -> None:
        self.consumer = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._connector = connector
        self._topology = topology
        self._queues = tuple(dict.fromkeys(queues))
        self._holdings = Holdings()
        self._settler = Settler(self._holdings, publisher, topology, connector.patience)
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._receiving = self._stopped = False
        self._resting: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException as error:
            if isinstance(error, RabbitError) and not isinstance(error, UnusableRabbitError):
                return self  # it passes; the first receive tries again
            self._connector.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._resting is not None:
            self._resting.cancel()
        reason = f"RabbitMQ did not answer within {_LEAVE_TIMEOUT} s"
        with anyio.move_on_after(_LEAVE_TIMEOUT, shield=True):
            try:
                while self._background:
                    await asyncio.wait(self._background)
                if self._session is not None and self._session.usable:
                    self._session.feed.rest()
                    # When this is answered, what was on its way has come.
                    await self._session.channel.call(commands.Basic.Qos(prefetch_count=1), patience=self._connector.patience)
                    await self._settler.give_back(self._session, self._holdings.all())
                reason = ""
            except BrokerError as refusal:
                reason = str(refusal)
        self._connector.close()
        if reason:
            logger.warning("What this worker holds comes back by itself, and counts it as a lost holder. %s", reason)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        self._receiving = True
        try:
            while True:
                session = await self._open()
                if looks := session.feed.ask(limit, session.paused):
                    await session.head_start(looks)
                taken = session.feed.take(limit)
                if taken:
                    return self._holdings.hand_out(taken)
                await session.wait()
        finally:
            self._receiving = False
            self._rest_soon()

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        if settlements:
            # Carried out whoever is cancelled here, and before this consumer leaves: else what is done would be done again.
            await asyncio.shield(self._start(self._settle(settlements)))

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            delivery.receipt.forgotten = True

    def stop_receiving(self) -> None:
        self._stopped = True
        self._rest()

    def held(self, queue: str) -> int:
        """How many messages of a queue the worker holds."""
        return sum(delivery.queue == queue for delivery in self._holdings.all())

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        await self._settler.settle(await self._open(), settlements)

    async def _open(self) -> Session:
        """The session on the connection that there is.

        :raises RabbitError: if there is none, and none can be made.
        """
        if self._session is not None and self._session.usable:
            return self._session
        async with self._opening:
            if self._session is None or not self._session.usable:
                if self._session is not None:
                    self._connector.close()
                    self._holdings.lose(self._session.feed.take_all())
                    self._session = None
                session = Session(await self._connector.link(), self._topology, self._holdings, self._arrived)
                await session.open(self._queues, self._connector.patience)
                self._session = session
            return self._session

    # -- what nobody asks for -----------------------------------------------------------------------------------------------

    def _arrived(self) -> None:
        session = self._session
        if session is not None and session.paused:
            self._give_back(session, session.feed.take_all(session.paused))
        if not self._receiving and self._resting is None:
            self._rest_soon()

    def _give_back(self, session: Session, surplus: Sequence[Delivery]) -> None:
        if surplus:
            self._start(self._quietly(session, surplus))

    def _rest_soon(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(_IDLE, self._rest)

    def _rest(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        session = self._session
        if self._background and not self._stopped:
            self._rest_soon()  # who waits for us to settle will receive again
        elif not self._receiving and session is not None and session.usable:
            session.feed.rest()
            self._give_back(session, session.feed.take_all())

    async def _quietly(self, session: Session, surplus: Sequence[Delivery]) -> None:
        try:
            await self._settler.give_back(session, surplus)
        except BrokerError as error:  # then the end of the connection does the same
            logger.warning("Some messages could not be given back yet: %s", error)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody else misses it
