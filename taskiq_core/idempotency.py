"""Sends that may be repeated: one task for each key, whatever became of the first."""

import uuid
from collections.abc import Sequence

from taskiq_core.abc.sender import Sender
from taskiq_core.claiming import asked, coordinator_of
from taskiq_core.deduplication import Guard, Sent
from taskiq_core.message import TaskiqMessage
from taskiq_core.requirements import require_coordinator
from taskiq_core.send_lock import alone

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "taskiq-core:idempotency")


def idempotent_id(task_name: str, key: str) -> str:
    """The task id that a key makes, 32 hexadecimal digits.

    :raises ValueError: for a key that is no text, is empty, or cannot be written as UTF-8.
    """
    if not isinstance(key, str) or not key:  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"an idempotency key is a text that names one send, such as 'order-17', not {key!r}"
        raise ValueError(msg)
    try:
        key.encode()
    except UnicodeEncodeError as error:
        msg = f"an idempotency key is a text that can be written as UTF-8, not {key[:50]!r}"
        raise ValueError(msg) from error
    return uuid.uuid5(_NAMESPACE, f"{task_name}\n{key}").hex


class Idempotent:
    """Notes what the broker has accepted, and sends nothing again that is noted.

    A send whose outcome is unknown is not noted: a repeat is sent, under the same id.
    """

    def __init__(self, task_id: str, ttl: float, inner: Guard | None) -> None:
        self._task_id = task_id
        self._ttl = ttl
        self._inner = inner

    @property
    def option(self) -> str:
        """See `Guard`."""
        return "with_idempotency_key(...)"

    def check(self, broker: Sender) -> None:
        """See `Guard`."""
        require_coordinator(broker, "A send", self.option)
        if self._inner is not None:
            self._inner.check(broker)

    async def send(self, broker: Sender, messages: Sequence[TaskiqMessage], *, chosen: bool) -> list[Sent]:
        """See `Guard`."""
        (message,) = messages
        if message.task_id != self._task_id:
            msg = "an idempotency key makes the task id: with_task_id() cannot be used beside it"
            raise ValueError(msg)
        name = message.task_name
        coordinator = await coordinator_of(broker, f"with_idempotency_key() on task {name!r}")
        note = f"accepted:{self._task_id}"
        async with alone(coordinator, note, name):
            if await asked(coordinator.get([note]), name):
                return [Sent(self._task_id, "duplicate")]
            sent = await self._pass_on(broker, messages)
            if sent[0].outcome == "queued":
                await asked(coordinator.put({note: b""}, self._ttl), name, "unknown")
            return sent

    async def _pass_on(self, broker: Sender, messages: Sequence[TaskiqMessage]) -> list[Sent]:
        if self._inner is not None:
            return await self._inner.send(broker, messages, chosen=True)
        await broker.send(messages)
        return [Sent(self._task_id, "queued")]
