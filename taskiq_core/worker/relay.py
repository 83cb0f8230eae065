"""The relay: moves messages from the outbox to the broker that they are for."""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import anyio

from taskiq_core.abc.subscription import Subscription
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import ConfigurationError, MessageDecodeError
from taskiq_core.message import BrokerMessage
from taskiq_core.outage import Outage
from taskiq_core.outbox import Outbox, read_entry
from taskiq_core.passing_on import PassedOn
from taskiq_core.worker.backoff import Backoff
from taskiq_core.worker.drain_check import DrainCheck

logger = logging.getLogger("taskiq.relay")

_BATCH: Final = 500
"""Messages that are moved together."""
_ASIDE: Final = 2.5
"""Pauses after a failure for which messages that could not be passed on are set aside."""
_SHUTDOWN: Final = 1.0
"""Seconds for disconnecting."""


class Target(Protocol):
    """What the relay needs of the broker that messages are for."""

    max_message_size: int

    async def kick_many(self, messages: Sequence[BrokerMessage]) -> None: ...


class Relay:
    """Any number of relays may serve one outbox: they share what is in it, and what one held that dies goes to the others.

    A message leaves the outbox when the target has accepted it. If the relay dies in between, it is sent again, under its id:
    a broker with `IDEMPOTENT_SEND` makes no second message of it while the first is queued or running.

    :param grace: seconds that what is under way may take after `stop`.
    :param burst: end when the outbox is empty.
    """

    def __init__(self, target: Target, outbox: Outbox, *, grace: float, burst: bool = False) -> None:
        self._target = target
        self._outbox = outbox
        self._grace = grace
        self._burst = burst
        self._drain = DrainCheck(outbox.broker.admin, [outbox.queue])
        self._stopping = False
        self._all: anyio.CancelScope | None = None
        self._waiting: anyio.CancelScope | None = None
        self._held: Sequence[Delivery] = ()
        self._batch = _BATCH
        self._unreachable = Backoff(logger, "The outbox can be used again")
        self._refusing = Backoff(logger, "Messages of the outbox are passed on again")

    def stop(self, *, now: bool = False) -> None:
        """End `run` after what is under way, within the grace; `now` at once. May be called repeatedly."""
        self._stopping = True
        if self._waiting is not None:
            self._waiting.cancel()
        if self._all is not None:
            self._all.deadline = min(self._all.deadline, anyio.current_time() + (0 if now else self._grace))

    async def run(self) -> None:
        """Start the broker of the outbox, unless it is, and move messages until stopped. What is down is tried until it is up.

        :raises ConfigurationError: for an outbox that can never be used so.
        """
        with anyio.CancelScope() as self._all:
            starts_it = self._outbox.broker.home is None
            try:
                while not self._stopping:
                    try:
                        with anyio.CancelScope() as self._waiting:
                            await self._outbox.broker.startup()
                        if not self._stopping:
                            await self._serve()
                    except ConfigurationError:
                        raise
                    except Exception as error:  # noqa: BLE001 - for ever: the database will be back
                        pause = self._unreachable.next()
                        await self._pause(self._unreachable, "The outbox cannot be used, trying again", error, pause)
            finally:
                if starts_it:
                    with anyio.move_on_after(_SHUTDOWN, shield=True):
                        await self._outbox.broker.shutdown()

    async def _serve(self) -> None:
        subscription = self._outbox.broker.subscribe([self._outbox.queue])
        failure: Exception | None = None
        async with subscription, anyio.create_task_group() as group:
            group.start_soon(self._keep, subscription)
            logger.info("Messages of the outbox are passed on to %s", type(self._target).__name__)
            try:
                await self._move_all(subscription)
            except Exception as error:  # noqa: BLE001 - carried out of the task group as it is
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _move_all(self, subscription: Subscription) -> None:
        while not self._stopping:
            deliveries: Sequence[Delivery] = ()
            failure: Exception | None = None
            with anyio.move_on_after(self._drain.patience if self._burst else None) as self._waiting:
                try:
                    deliveries = await subscription.receive(self._batch)
                except Exception as error:  # noqa: BLE001 - for ever: the database will be back
                    failure = error
            if self._waiting.cancelled_caught:  # told to stop, or there may be nothing more
                self._stopping = self._stopping or await self._drain.is_empty()
                continue
            if failure is not None:
                self._batch = max(1, self._batch // 2)  # as it may be that so many large ones take too long
                what, pause = "The outbox cannot be used, trying again", self._unreachable.next()
                await self._pause(self._unreachable, what, failure, pause)
                continue
            self._unreachable.over()
            if deliveries:
                self._drain.came()
                self._batch = min(_BATCH, 2 * self._batch)
                self._held = deliveries
                try:
                    await self._move(subscription, deliveries)
                finally:
                    self._held = ()

    async def _move(self, subscription: Subscription, deliveries: Sequence[Delivery]) -> None:
        passed, messages = PassedOn[Delivery](), list[tuple[Delivery, BrokerMessage]]()
        for delivery in deliveries:
            try:
                messages.append((delivery, read_entry(delivery.body)))
            except MessageDecodeError as error:
                passed.refused.append((delivery, str(error)))
        failure = await self._pass_on(passed, messages)
        if failure is None:
            self._refusing.over()
            await self._settle(subscription, deliveries, passed)
            return
        pause = self._refusing.next()
        # Set aside for longer than the pause: if it is one queue that makes trouble, what is for others goes before.
        await self._settle(subscription, deliveries, passed, delay=_ASIDE * pause)
        await self._pause(self._refusing, "Messages of the outbox cannot be passed on, trying again", failure, pause)

    async def _pass_on(
        self, passed: PassedOn[Delivery], messages: Sequence[tuple[Delivery, BrokerMessage]]
    ) -> Exception | None:
        """Send them all together; if that fails, those of each queue by themselves. Returns what kept some back."""
        size = self._target.max_message_size
        try:
            await passed.send(self._target.kick_many, messages, size)
        except Exception as error:  # noqa: BLE001 - for ever: the target will be back
            failure = error
        else:
            return None
        done = {*passed.accepted, *(delivery for delivery, _ in passed.refused)}
        parts: dict[str | None, list[tuple[Delivery, BrokerMessage]]] = {}
        for delivery, message in messages:
            if delivery not in done:
                parts.setdefault(message.queue, []).append((delivery, message))
        for part in parts.values() if len(parts) > 1 else ():
            try:
                await passed.send(self._target.kick_many, part, size)
            except Exception as error:  # noqa: BLE001 - as above
                failure = error
        return failure

    async def _settle(
        self,
        subscription: Subscription,
        deliveries: Sequence[Delivery],
        passed: PassedOn[Delivery],
        delay: float | None = None,
    ) -> None:
        """Until it is done: what is sent and not settled would be sent again."""
        settlements = [Settlement(delivery, Verdict.ACK) for delivery in passed.accepted]
        for delivery, reason in passed.refused:
            logger.error("A message of the outbox is refused for good, and is among its dead letters now: %s", reason)
            settlements.append(Settlement(delivery, Verdict.REJECT, reason=f"not passed on: {reason}"))
        ended = {item.delivery for item in settlements}
        settlements += [Settlement(item, Verdict.RELEASE, delay=delay) for item in deliveries if item not in ended]
        while True:
            try:
                await subscription.settle(settlements)
            except Exception as error:  # noqa: BLE001 - for ever: the database will be back
                await self._unreachable.sleep("Messages that were passed on cannot be taken out of the outbox", error)
            else:
                self._unreachable.over()
                return

    async def _keep(self, subscription: Subscription) -> None:
        """Renew the leases."""
        if subscription.lease is None:
            return
        outage = Outage(logger, "Leases of the outbox are renewed again")
        while True:
            await anyio.sleep(subscription.lease / 3)
            try:
                with anyio.fail_after(subscription.lease / 4):
                    await subscription.extend(self._held)
            except Exception as error:  # noqa: BLE001 - tried again at the next turn
                outage.say("Leases of the outbox could not be renewed, trying again", error)
            else:
                outage.over()

    async def _pause(self, backoff: Backoff, what: str, error: Exception, seconds: float) -> None:
        backoff.say(what, error)
        with anyio.CancelScope() as self._waiting:
            if not self._stopping:
                await anyio.sleep(seconds)
