"""Moving what waits from one broker to another, so that each message ends in one of them.

A queue is paused on both sides while it is moved. So nobody runs a message that is in both, for the moment between the send and
the removal, also if that moment never ends because this process is killed: then whoever moves the queue again sends it again,
which the target ignores (`Capability.IDEMPOTENT_SEND`), and removes it. Only one run at a time does so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio

from taskiq_core.abc.evacuation import Waiting
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.broker import AsyncBroker
from taskiq_core.capability import Capability
from taskiq_core.defaults import DEFAULT_PRIORITY, DEFAULT_QUEUE
from taskiq_core.exceptions import BrokerError, ConfigurationError, SendTaskError
from taskiq_core.message import BrokerMessage
from taskiq_core.migration_lock import MARK, MigrationLock
from taskiq_core.outbox import OUTBOX_QUEUE, is_entry
from taskiq_core.passing_on import PassedOn

_PAGE = 100
"""Messages of one step, each of which may be large."""
_PAUSE = 1.0
"""Seconds until a pause has reached every worker, as `QueueAdmin.pause` promises."""


@dataclass(slots=True)
class Moved:
    """What became of one queue."""

    queue: str
    moved: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """Task ids of what stays in the source, and why."""
    held: int = 0
    """How many are in the hands of workers of the source, who go on with them."""
    complete: bool = False
    """False if it was stopped before nothing more waited."""


class Migration:
    """Moves queues from one started broker to another; entered and left by its one user.

    Entering raises `ConfigurationError` if both brokers are one place (each message would be removed after it was "sent"), or
    if another run works at one of them.

    :raises ConfigurationError: if one of them cannot do its part.
    """

    def __init__(self, source: AsyncBroker, target: AsyncBroker) -> None:
        self._source, self._target = type(source).__name__, target
        self._from = _admin_of(source, "source", Capability.EVACUATE | Capability.CROSS_PROCESS)
        self._to = _admin_of(target, "target", Capability.DEAD_LETTER | Capability.CROSS_PROCESS)
        self._lock = MigrationLock({"source": self._from, "target": self._to})
        self._in_doubt = False
        self._stopped = False

    async def __aenter__(self) -> Self:
        await self._lock.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._lock.__aexit__(kind, error, traceback)

    def stop(self) -> None:
        """Let `move` return after the page that is under way."""
        self._stopped = True

    async def queues(self) -> tuple[str, ...]:
        """The queues of the source, but for an outbox: what is in that is for other brokers, and its relay moves it.

        :raises ConfigurationError: if its server does not say.
        """
        names = await self._from.queues()
        if names is None:
            reason = f"{self._source} cannot say which queues there are, as its server does not tell: name each with --queue."
            raise ConfigurationError(reason=reason)
        return tuple(sorted(name for name in names if name != OUTBOX_QUEUE and not name.startswith(MARK)))

    async def paused(self) -> frozenset[str]:
        """The queues that are paused on either side."""
        return await self._from.paused() | await self._to.paused()

    async def waiting(self, queue: str) -> int:
        """How many messages wait in a queue of the source."""
        depth = await self._from.depth(queue)
        return depth.ready + depth.delayed

    async def move(self, queue: str, *, resume: bool, tell: Callable[[Moved], None] = lambda moved: None) -> Moved:
        """Pause a queue on both sides, move what waits in it, and resume it on both, unless it is to stay paused.

        `tell` is called after each page. After an error, or when it is cancelled, no message is lost; the queue stays paused if
        some may be on both sides.

        :raises ConfigurationError: if the target has no such queue to offer.
        :raises BrokerError: if one of the servers fails; the text says what to do.
        """
        if queue != DEFAULT_QUEUE and Capability.QUEUES not in self._target.capabilities:
            raise ConfigurationError(reason=f"The target has no named queues, so {queue!r} cannot be moved to it.")
        moved = Moved(queue)
        await self._lock.confirm()
        try:
            # What is paused in the target is so in the source too, at every moment: who looks there finds it.
            for admin in (self._from, self._to):
                await admin.pause(queue)
            await anyio.sleep(_PAUSE)
            await self._carry(moved, tell)
            moved.held = (await self._from.depth(queue)).leased
        except BaseException as error:
            left = "" if self._lock.lost else await self._let_go(queue)
            if left and isinstance(error, BrokerError | SendTaskError):
                raise BrokerError(reason=f"{error.reason.rstrip('.')}. {left}") from error
            raise
        if resume:
            await self._resume(queue)
        return moved

    async def _carry(self, moved: Moved, tell: Callable[[Moved], None]) -> None:
        async with self._from.evacuate(moved.queue) as evacuation:
            while not self._stopped:
                page = await evacuation.next(_PAGE)
                if not page:
                    moved.complete = True
                    return
                passed = PassedOn[Waiting]()
                await self._lock.confirm()
                await self._send(page, passed)
                moved.refused.update((item.task_id, reason) for item, reason in passed.refused)
                if passed.accepted:
                    await evacuation.remove(passed.accepted)
                self._in_doubt = False
                moved.moved += len(passed.accepted)
                tell(moved)

    async def _send(self, page: Sequence[Waiting], passed: PassedOn[Waiting]) -> None:
        """Send what the target takes."""
        unfit = {item.task_id: why for item in page if (why := self._unfit(item)) is not None}
        passed.refused += [(item, unfit[item.task_id]) for item in page if item.task_id in unfit]
        messages = [(item, _message(item)) for item in page if item.task_id not in unfit]
        self._in_doubt = True
        try:
            await passed.send(self._target.kick_many, messages, self._target.max_message_size)
        except SendTaskError as error:
            self._in_doubt = bool(passed.accepted) or error.outcome != "refused"
            raise

    def _unfit(self, item: Waiting) -> str | None:
        able = self._target.capabilities
        if is_entry(item.task_id, item.queue, item.body):
            return "it is in an outbox, and for its relay to move"
        if item.delay is not None and Capability.DELAY not in able:
            return f"it is due in {item.delay:.0f} s, and the target has no delays"
        if item.priority != DEFAULT_PRIORITY and Capability.PRIORITY not in able:
            return f"it has the priority {item.priority}, and the target has none"
        return None

    async def _resume(self, queue: str) -> None:
        await self._lock.confirm()
        for admin in (self._to, self._from):
            await admin.resume(queue)

    async def _let_go(self, queue: str) -> str:
        """After a failure: resume if every message is in one place. Returns what is left to do."""
        why = "as some messages may be on both sides"
        if not self._in_doubt:
            why = ""
            with anyio.CancelScope(shield=True):
                try:
                    await self._resume(queue)
                except BrokerError as error:
                    why = f"as it could not be resumed ({error.reason})"
        return (
            f"Nothing is lost. The queue {queue!r} stays paused, {why}: run the same command again, with --resume."
            if why
            else ""
        )


def _admin_of(broker: AsyncBroker, side: str, needs: Capability) -> QueueAdmin:
    missing = needs & ~broker.capabilities
    if Capability.CROSS_PROCESS in missing:
        raise ConfigurationError(reason=f"The {side} keeps its messages in one process: from this one there is nothing to see.")
    if broker.admin is None or missing:
        what = "show what waits in its queues" if side == "source" else "pause its queues while they are filled"
        raise ConfigurationError(reason=f"The {side} is a {type(broker).__name__}, which cannot {what}.")
    return broker.admin


def _message(item: Waiting) -> BrokerMessage:
    priority = None if item.priority == DEFAULT_PRIORITY else item.priority
    queue = None if item.queue == DEFAULT_QUEUE else item.queue
    return BrokerMessage(item.task_id, "", item.body, queue=queue, priority=priority, delay=item.delay)
