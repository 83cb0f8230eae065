"""One consumer: what it receives, holds and settles."""

import asyncio
import logging
import os
import random
import uuid
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from pamqp import commands

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core_brokers_rabbitmq.acknowledgements import LINGER
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.directory import QueueDirectory
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, RabbitError, UnusableRabbitError, of_consumer
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.in_doubt import InDoubt
from taskiq_core_brokers_rabbitmq.overdue import Overdue
from taskiq_core_brokers_rabbitmq.peers import Peers
from taskiq_core_brokers_rabbitmq.publisher import Publisher
from taskiq_core_brokers_rabbitmq.settling import Settler
from taskiq_core_brokers_rabbitmq.topology import Topology
from taskiq_core_brokers_rabbitmq.worker_channels import WorkerChannels

logger = logging.getLogger("taskiq.rabbitmq")

_LEAVE_TIMEOUT, _GIVE_BACK_TIMEOUT = 0.4, 1.0
"""Seconds for an answer when leaving, and for what is given back after it: with what the worker itself needs to stop they stay
below the 2 s that stopping may take beyond the grace."""
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0
"""Seconds between two tries to have a connection again."""
_IDLE = 0.5
"""Seconds without a receive after which nothing is asked for any more, and what has come unasked is given back."""


class RabbitSubscription(Subscription):
    """A consumer of some queues, on a connection of its own. What it holds is its own as long as that connection lives."""

    def __init__(
        self, connector: Connector, topology: Topology, publisher: Publisher, queues: Sequence[str], consumer_timeout: float
    ) -> None:
        self.consumer = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.connector = connector
        self._topology = topology
        self._queues = tuple(dict.fromkeys(queues))
        self._publisher = publisher
        self._directory = QueueDirectory(topology, publisher)
        self._holdings = Holdings()
        self._overdue = Overdue(consumer_timeout, self._holdings.all)
        self._settler = Settler(self._holdings, publisher, topology, connector.patience)
        self._channels: WorkerChannels | None = None
        self._opening = asyncio.Lock()
        self._receiving = self._stopped = False
        self._resting: asyncio.TimerHandle | None = None
        self._background: set[asyncio.Task[object]] = set()
        self._reopening: asyncio.Task[None] | None = None
        self._in_doubt = InDoubt(Peers(self.consumer, publisher), self._holdings, self._cleared, self._finished)

    async def __aenter__(self) -> Self:
        self._overdue.start()
        try:
            await self._open()
        except BaseException as error:
            if isinstance(error, RabbitError) and not isinstance(error, UnusableRabbitError):
                return self  # it passes; the first receive tries again
            self._overdue.stop()
            self.connector.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        self._overdue.stop()
        if self._resting is not None:
            self._resting.cancel()
        if self._reopening is not None:
            self._reopening.cancel()
        self._in_doubt.drop_all()  # they go back as they are, when the connection is closed
        reason = "RabbitMQ did not answer in time."
        with anyio.move_on_after(_LEAVE_TIMEOUT, shield=True) as scope:
            try:
                channels = self._channels
                if channels is not None and channels.usable:
                    channels.consumers.rest()
                    # When this is answered, what was on its way has come.
                    await channels.work.call(commands.Basic.Qos(prefetch_count=1), patience=self.connector.patience)
                    # It answers: so what is given back is waited for, as what we close upon would be there twice.
                    scope.deadline += _GIVE_BACK_TIMEOUT
                while self._background:
                    await asyncio.wait(self._background)
                if channels is not None and channels.usable:
                    await self._settler.give_back(channels, self._holdings.all())
                    await asyncio.sleep(LINGER)
                reason = ""
                await self._in_doubt.leave()
            except BrokerError as refusal:
                reason = str(refusal)
        self._in_doubt.stop()
        self.connector.close()
        if reason:
            logger.warning("What this worker holds comes back by itself, and counts it as a lost holder. %s", reason)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        self._receiving = True
        try:
            while True:
                channels = await self._open()
                if questions := channels.consumers.ask(limit, channels.paused):
                    await channels.head_start(questions)
                taken = channels.consumers.take(limit)
                if taken:
                    return self._holdings.hand_out(taken)
                await channels.wait()
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

    async def _open(self) -> WorkerChannels:
        """The channels on the connection that there is.

        :raises RabbitError: if there is none, and none can be made.
        """
        if self._channels is not None and self._channels.usable:
            return self._channels
        async with self._opening:
            if self._channels is None or not self._channels.usable:
                again = self._channels is not None
                if self._channels is not None and self._channels.work.closed is not None:
                    self.connector.close()
                channels = WorkerChannels(
                    await self.connector.link(),
                    self._topology,
                    self._holdings,
                    self._in_doubt,
                    arrived=self._arrived,
                    broken=self._broken,
                    settle_later=self._settle_later,
                )
                try:
                    await channels.open(self._queues, self._directory, self.connector.patience)
                except BaseException:
                    self.connector.close()
                    raise
                self._channels = channels
                await self._in_doubt.join(channels.news.address, again=again)
            return self._channels

    def _broken(self, channels: WorkerChannels, error: RabbitError) -> None:
        """The connection broke: get another soon, as others get what we hold."""
        if channels is not self._channels:
            return
        self._in_doubt.drop_all()
        self._holdings.lose(channels.consumers.take_all())
        if self._stopped:
            return
        if isinstance(error, ChannelClosedError):
            self.connector.close()
            logger.warning("%s", of_consumer(channels.link.place, error))
        if self._reopening is None:
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        """Until there is a connection: others may ask for what we hold."""
        pause = _FIRST_PAUSE
        try:
            while not self._stopped and not (self._channels is not None and self._channels.usable):
                try:
                    await self._open()
                except RabbitError as error:
                    logger.debug("No connection yet: %s", error)
                    await asyncio.sleep(pause * random.uniform(0.7, 1.3))
                    pause = min(2 * pause, _LAST_PAUSE)
        finally:
            self._reopening = None

    def _cleared(self, deliveries: list[Delivery]) -> None:
        if (channels := self._channels) is not None and channels.usable:
            channels.intake.come_back([item for item in deliveries if item.receipt.channel is channels.work])

    def _finished(self, deliveries: list[Delivery]) -> None:
        if (channels := self._channels) is not None and channels.usable:
            channels.intake.finish([item for item in deliveries if item.receipt.channel is channels.work])

    # -- what nobody asks for -----------------------------------------------------------------------------------------------

    def _arrived(self) -> None:
        """Something has come, perhaps unasked."""
        channels = self._channels
        if channels is not None and channels.paused:
            self._give_back(channels.consumers.take_all(channels.paused))
        if not self._receiving and self._resting is None:
            self._rest_soon()

    def _give_back(self, surplus: Sequence[Delivery]) -> None:
        if surplus:
            self._settle_later([Settlement(delivery, Verdict.RELEASE) for delivery in surplus])

    def _settle_later(self, settlements: Sequence[Settlement]) -> None:
        """Carry these out, soon."""
        self._start(self._settle_in_the_end(settlements))

    def _rest_soon(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = asyncio.get_running_loop().call_later(_IDLE, self._rest)

    def _rest(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        channels = self._channels
        if self._background and not self._stopped:
            self._rest_soon()  # who waits for us to settle will receive again
        elif not self._receiving and channels is not None and channels.usable:
            channels.consumers.rest()
            self._give_back(channels.consumers.take_all())

    async def _settle_in_the_end(self, settlements: Sequence[Settlement]) -> None:
        """Until it has worked, or the end of our connection does the same."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._settle(settlements)
            except BrokerError as error:
                logger.debug("Some messages could not be given back yet: %s", error)
                if self._stopped:
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_PAUSE)
            else:
                return

    def _start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited; nobody else misses it
