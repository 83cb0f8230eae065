"""Reading what waits in a paused queue, straight from the stream."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from taskiq_core import clock
from taskiq_core.abc.evacuation import Evacuation, Waiting
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import CONSUMER_NOT_FOUND, NatsError
from taskiq_core_brokers_nats.headers import DELAY, REASON, fields_of, number_in
from taskiq_core_brokers_nats.names import DELAYED, Names, place_of
from taskiq_core_brokers_nats.state import State
from taskiq_core_brokers_nats.stream import Stored, delete, read_on, seconds_of


@dataclass(slots=True, eq=False)
class _Late:
    number: int
    subject: str
    body: bytes
    due: float


class NatsEvacuation(Evacuation):
    """Each part of the queue is read once, from its beginning: what comes back to it has a new number, behind all others.

    Nothing is received, so all that its consumer has delivered is held by somebody, or is not due.
    """

    def __init__(self, connection: Connection, names: Names, state: State, queue: str) -> None:
        self._connection = connection
        self._names = names
        self._state = state
        self._queue = queue
        self._begin: dict[str, int] = {}
        self._late: list[_Late] = []

    async def next(self, limit: int) -> Sequence[Waiting]:
        levels = (await self._state.read())[1].get(self._queue, set())
        found: list[Waiting] = []
        for level in sorted(levels - {DELAYED}, reverse=True):
            await self._read(level, found, limit)
        if DELAYED in levels and len(found) < limit:
            await self._read(DELAYED, found, limit)
        late, self._late = self._late[: limit - len(found)], self._late[limit - len(found) :]
        return [*found, *(self._waiting(item.number, item.subject, item.body, item.due) for item in late)]

    async def _read(self, level: str, found: list[Waiting], limit: int) -> None:
        """Add what is ready; note what is not due, until there is enough of both."""
        delivered = 0 if level == DELAYED else await self._delivered(level)
        stream, subjects = self._names.queues, self._names.filter(self._queue, level)

        def is_full() -> bool:
            return len(found) + (len(self._late) if level == DELAYED else 0) >= limit

        while not is_full() and (page := await read_on(self._connection, stream, subjects, self._begin.get(level, 1))):
            for message in page:
                if is_full():
                    return
                self._note(message, delivered, found)
                self._begin[level] = int(message["seq"]) + 1

    def _note(self, message: Stored, delivered: int, found: list[Waiting]) -> None:
        number, subject = int(message["seq"]), str(message["subject"])
        fields = fields_of(base64.b64decode(message.get("hdrs", "")))
        body = base64.b64decode(message.get("data", ""))
        if REASON in fields:
            return
        if delay := number_in(fields, DELAY):
            self._late.append(_Late(number, subject, body, seconds_of(message["time"]) + delay / 1000))
        elif number > delivered:
            found.append(self._waiting(number, subject, body, None))

    async def _delivered(self, level: str) -> int:
        """The highest number that its consumer has delivered."""
        try:
            consumer = self._names.consumer(self._queue, level)
            found = await self._connection.api(f"CONSUMER.INFO.{self._names.queues}.{consumer}")
        except NatsError as error:
            if error.code != CONSUMER_NOT_FOUND:
                raise
            return 0
        return int(found["delivered"]["stream_seq"])

    def _waiting(self, number: int, subject: str, body: bytes, due: float | None) -> Waiting:
        queue, priority, task_id = place_of(subject)
        left = 0.0 if due is None else due - clock.time()
        return Waiting(task_id, body, queue, priority, left if left > 0 else None, number)

    async def remove(self, messages: Sequence[Waiting]) -> None:
        await delete(self._connection, self._names.queues, [item.receipt for item in messages])
