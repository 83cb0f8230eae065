"""The outbox: messages for one broker, kept in the tables of another until a relay moves them."""

from collections.abc import Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taskiq_core import clock
from taskiq_core.abc.queue_admin import QueueAdmin
from taskiq_core.abc.subscription import Subscription
from taskiq_core.capability import Capability
from taskiq_core.exceptions import MessageDecodeError
from taskiq_core.message import BrokerMessage
from taskiq_core.wire import pack, unpack

OUTBOX_QUEUE: Final = "taskiq.outbox"
"""Where messages wait for the relay, unless `with_outbox` says otherwise."""

_FORM: Final = 1


class Keeper(Protocol):
    """What an outbox needs of the broker whose tables it is in."""

    @property
    def capabilities(self) -> Capability: ...

    @property
    def home(self) -> object:
        """None while it is not started."""
        ...

    @property
    def admin(self) -> QueueAdmin | None: ...

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        """See `AsyncBroker.enlist`."""
        ...

    def subscribe(self, queues: Sequence[str], *, prefetch: int | None = None) -> Subscription: ...

    async def startup(self) -> None: ...

    async def shutdown(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Outbox:
    """A queue in the tables of `broker`."""

    broker: Keeper
    queue: str

    def enlist(self, connection: Any, messages: Sequence[BrokerMessage]) -> Awaitable[None] | None:
        """Write messages for the relay as part of the transaction of `connection`."""
        return self.broker.enlist(connection, [_entry(message, self.queue) for message in messages])

    async def discard(self, task_ids: Collection[str]) -> frozenset[str]:
        """Remove what waits for the relay; returns whose messages those were. None where the outbox is not open here."""
        broker = self.broker
        if broker.home is None or broker.admin is None or Capability.DISCARD not in broker.capabilities:
            return frozenset()
        entries = {_entry_id(task_id, self.queue): task_id for task_id in task_ids}
        return frozenset(entries[entry] for entry in await broker.admin.discard(list(entries)))


def _entry_id(task_id: str, queue: str) -> str:
    """An id is known once in all queues of a database, and two brokers may each have a task of it in their outboxes there."""
    return f"{queue}/{task_id}"


def _entry(message: BrokerMessage, queue: str) -> BrokerMessage:
    """What the outbox holds. A delay counts from now, so it is kept as a time."""
    due = clock.time() + message.delay if message.delay else None
    fields = (_FORM, message.task_id, message.task_name, message.queue, message.priority, due, message.labels, message.message)
    entry_id = _entry_id(message.task_id, queue)
    return BrokerMessage(entry_id, message.task_name, pack(fields), queue=queue, priority=message.priority)


def is_entry(task_id: str, queue: str, body: bytes) -> bool:
    """Whether what waits in a queue is there for a relay."""
    if not task_id.startswith(_entry_id("", queue)):
        return False
    try:
        read_entry(body)
    except MessageDecodeError:
        return False
    return True


def read_entry(body: bytes) -> BrokerMessage:
    """The message of an entry, as it is to be sent now: with what is left of its delay.

    :raises MessageDecodeError: for what is none.
    """
    try:
        fields: list[Any] = unpack(body)
        form = fields.pop(0)
        if form != _FORM:
            raise MessageDecodeError(reason=f"an entry of an outbox in form {form!r}, and this release reads form {_FORM}")
        task_id, task_name, queue, priority, due, labels, message = fields
        left = None if due is None else max(0.0, due - clock.time())
        return BrokerMessage(task_id, task_name, message, labels, queue=queue, priority=priority, delay=left or None)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise MessageDecodeError(reason=f"no entry of an outbox: {error}") from error
