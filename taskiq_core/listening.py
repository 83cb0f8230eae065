"""A batch subscription made of a classic broker's `listen()`."""

import contextlib
import heapq
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from taskiq_core.abc.subscription import Subscription
from taskiq_core.acks import AckableMessage
from taskiq_core.defaults import SEND_TIMEOUT
from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core.exceptions import BrokerError
from taskiq_core.utils import maybe_awaitable

logger = logging.getLogger("taskiq.listening")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_PAUSE_WHEN_DUE = 1.0
_CALM = 30.0
"""Seconds after which a failing `listen()` counts as a new outage."""


@dataclass(slots=True, eq=False)
class _Hold:
    """One message in our hands; the receipt of its delivery."""

    message: AckableMessage | None
    """None for one that cannot be acknowledged: its broker has forgotten it."""
    body: bytes
    """What to send when it must be sent again."""
    resent: bool = False


class ListeningSubscription(Subscription):
    """What `subscribe()` gives for brokers that only have `kick()` and `listen()`.

    `listen` is called again whenever it raises or ends. It is read only as far as `receive` asks, one message ahead at most.
    `resend(body, delay)` puts a body back into the queue; `delay` is None unless `delays` says that the broker serves it:
    without that, what has to wait is kept here, unacknowledged, and sent again when due. What such a broker delivers as bare
    bytes it has forgotten already, so those messages die with the process that holds them.

    Dead-lettering needs `AckableMessage.nack`; without it a rejected message is acknowledged and logged as an error.
    """

    def __init__(
        self,
        listen: Callable[[], AsyncGenerator[Any, None]],
        resend: Callable[[bytes, float | None], Awaitable[None]],
        *,
        delays: bool = False,
    ) -> None:
        self._listen = listen
        self._resend = resend
        self._delays = delays
        self._ready: deque[Delivery] = deque()
        self._unsettled: set[_Hold] = set()
        self._later: list[tuple[float, int, _Hold]] = []
        self._order = itertools.count()
        self._wanted = 0
        self._asked = anyio.Event()
        self._arrived = anyio.Event()
        self._postponed = anyio.Event()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._pump)
        self._tasks.start_soon(self._send_what_is_due)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return
        tasks.cancel_scope.cancel()
        try:
            # Only a cancellation concerns the group; any other error of the worker's must not come out wrapped in a group.
            if isinstance(error, anyio.get_cancelled_exc_class()):
                await tasks.__aexit__(kind, error, traceback)
            else:
                await tasks.__aexit__(None, None, None)
        finally:
            with anyio.move_on_after(2 * SEND_TIMEOUT, shield=True):
                await self._give_back_all()

    def forget(self, deliveries: Sequence[Delivery]) -> None:
        """What cannot be acknowledged is over with its run; the rest is given back when the subscription is left."""
        self._unsettled.difference_update(item.receipt for item in deliveries if item.receipt.message is None)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait for at least one message and return what is there, at most `limit`. Cancelling loses nothing."""
        try:
            while not self._ready:
                self._wanted = limit
                self._asked.set()
                self._arrived = anyio.Event()
                await self._arrived.wait()
        finally:
            self._wanted = 0
        batch = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
        self._unsettled.update(delivery.receipt for delivery in batch)
        return batch

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Carry out verdicts one by one; one that fails does not keep the others from being carried out.

        :raises BrokerError: after all were tried, if any failed; those that did not are not repeated.
        """
        failures: list[Exception] = []
        for settlement in settlements:
            hold = settlement.delivery.receipt
            if hold not in self._unsettled:
                continue
            try:
                await self._carry_out(settlement, hold)
            except Exception as error:  # noqa: BLE001 - a plugin's ack may raise anything
                failures.append(error)
            else:
                self._unsettled.discard(hold)
        if failures:
            reason = f"{len(failures)} of {len(settlements)} messages could not be settled: {failures[0]!r}"
            raise BrokerError(reason=reason) from failures[0]

    # -- verdicts ---------------------------------------------------------------------------------------------------------

    async def _carry_out(self, settlement: Settlement, hold: _Hold) -> None:
        verdict, message = settlement.verdict, hold.message
        if verdict is Verdict.ACK:
            await _ack(message)
        elif verdict is Verdict.REJECT:
            await self._reject(hold, settlement.reason)
        else:
            delay = settlement.delay or 0.0
            if settlement.body is not None:
                hold.body = settlement.body
            if delay and not self._delays:
                self._postpone(hold, delay)
            elif verdict is Verdict.RELEASE and not delay:
                await self._release(hold)
            else:
                await self._send_again(hold, delay or None)

    async def _reject(self, hold: _Hold, reason: str | None) -> None:
        if hold.message is not None and hold.message.nack is not None:
            await maybe_awaitable(hold.message.nack(False))
            return
        await _ack(hold.message)
        logger.error("A rejected message of %d bytes is dropped, its broker has no dead letters: %s", len(hold.body), reason)

    async def _release(self, hold: _Hold) -> None:
        message = hold.message
        if message is None or message.nack is None or hold.resent or hold.body is not message.data:
            await self._send_again(hold)
        else:
            await maybe_awaitable(message.nack(True))

    async def _send_again(self, hold: _Hold, delay: float | None = None) -> None:
        # In this order a crash in between doubles the message; in the other it would lose it.
        if not hold.resent:
            await self._resend(hold.body, delay)
            hold.resent = True
        await _ack(hold.message)

    def _postpone(self, hold: _Hold, delay: float) -> None:
        heapq.heappush(self._later, (anyio.current_time() + delay, next(self._order), hold))
        self._postponed.set()

    async def _send_what_is_due(self) -> None:
        failing = False
        while True:
            left = self._later[0][0] - anyio.current_time() if self._later else float("inf")
            if left > 0:
                self._postponed = anyio.Event()
                with anyio.move_on_after(left):
                    await self._postponed.wait()
                continue
            _, _, hold = item = heapq.heappop(self._later)
            try:
                await self._send_again(hold)
                failing = False
            except Exception as error:  # noqa: BLE001 - a plugin's kick and ack may raise anything
                if hold.resent:
                    logger.warning(
                        "A delayed message is sent, but its first copy may run too: it cannot be acknowledged: %r", error
                    )
                    continue
                logger.log(logging.DEBUG if failing else logging.WARNING, "Sending what is due fails, trying on: %r", error)
                failing = True
                self._postpone(hold, _PAUSE_WHEN_DUE)
            except BaseException:
                heapq.heappush(self._later, item)
                raise

    async def _give_back_all(self) -> None:
        holds = [*(hold for _, _, hold in self._later), *self._unsettled, *(item.receipt for item in self._ready)]
        self._later.clear()
        self._unsettled.clear()
        self._ready.clear()
        left = len(holds)
        try:
            for hold in holds:
                try:
                    await self._release(hold)
                    left -= 1
                except Exception:
                    logger.exception("A message could not be given back")
        finally:
            if left:
                logger.error("%d messages could not be given back to the broker", left)

    # -- listening --------------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        pause, failing = _FIRST_PAUSE, False
        while True:
            started = anyio.current_time()
            count = 0
            try:
                async with _closing(self._listen()) as messages:
                    async for message in messages:
                        count += 1
                        if failing:
                            failing = False
                            logger.info("listen() works again")
                        await self._take(message)
            except Exception:
                if count or anyio.current_time() - started > _CALM:
                    pause, failing = _FIRST_PAUSE, False
                if not failing:
                    failing = True
                    logger.exception("listen() failed, it is called again until it works")
            else:
                pause = _FIRST_PAUSE
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE) if failing else _FIRST_PAUSE

    async def _take(self, message: Any) -> None:
        hold = _Hold(message, message.data) if isinstance(message, AckableMessage) else _Hold(None, bytes(message))
        self._ready.append(Delivery(hold.body, hold))
        self._arrived.set()
        while len(self._ready) >= self._wanted:
            self._asked = anyio.Event()
            await self._asked.wait()


@contextlib.asynccontextmanager
async def _closing(messages: AsyncGenerator[Any, None]) -> AsyncGenerator[AsyncGenerator[Any, None], None]:
    try:
        yield messages
    finally:
        with anyio.move_on_after(SEND_TIMEOUT, shield=True):
            await messages.aclose()


async def _ack(message: AckableMessage | None) -> None:
    if message is not None:
        await maybe_awaitable(message.ack())
