"""Dead letters: a stream of their own, and the numbers in it as ids."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskiq_core import clock
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import WRONG_SEQUENCE, NatsError
from taskiq_core_brokers_nats.headers import ATTEMPTS, EXPECTED, MESSAGE_ID, PRIORITY, fields_of, headers_of, number_in, told
from taskiq_core_brokers_nats.names import LONGEST_ID, Names, place_of, priority_of, text_of, token
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_brokers_nats.publishing import publish_all
from taskiq_core_brokers_nats.stream import delete, read_all, seconds_of

_PAGE = 200
"""Letters that are asked for at once."""


@dataclass(frozen=True, slots=True)
class Grave:
    """A message that is marked as rejected, still among those that wait."""

    number: int
    subject: str
    attempts: int
    fields: Mapping[str, object]
    """Reason and detail."""
    body: bytes


class Cemetery:
    """The dead letters of one prefix."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names

    async def bury(self, graves: Sequence[Grave]) -> None:
        """Move what is rejected. May be done twice, and by two at once: the stream knows what it has already.

        :raises NatsError: if one of them could not be moved; it is still there then.
        """
        items: list[Item] = []
        for grave in graves:
            queue, priority, task_id = place_of(grave.subject)
            fields = {
                MESSAGE_ID: f"{grave.number}-{token(task_id)[:LONGEST_ID]}",
                ATTEMPTS: grave.attempts,
                PRIORITY: priority,
                **grave.fields,
            }
            items.append(Item(self._names.dead_letter(queue, task_id), headers_of(fields), grave.body))
        for result in await publish_all(self._connection, items, self._connection.patience):
            if isinstance(result, NatsError):
                raise result
        await delete(self._connection, self._names.queues, [grave.number for grave in graves])

    async def page(self, queue: str | None, limit: int, before: str | None) -> Sequence[DeadLetter]:
        """`QueueAdmin.dead_letters`."""
        found: list[DeadLetter] = []
        numbers = await self._numbers()
        if before is not None and before.isdigit():
            numbers = [number for number in numbers if number < int(before)]
        step = min(limit, _PAGE) if queue is None else _PAGE
        while numbers and len(found) < limit:
            chunk, numbers = numbers[:step], numbers[step:]
            found += [letter for letter, _ in await self._read(chunk) if queue is None or letter.queue == queue]
        return found[:limit]

    async def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """`QueueAdmin.find_dead`."""
        return [letter for letter, _ in await self._read(_numbers_in(ids))]

    async def requeue(self, ids: Sequence[str], bodies: Mapping[str, bytes]) -> int:
        """`QueueAdmin.requeue_dead`. A letter is deleted when its message is in the queue; the queue knows a message that comes
        from the same letter again.
        """
        letters = await self._read(list(dict.fromkeys(_numbers_in(ids))))
        items = [
            Item(
                self._names.ready(letter.queue, priority, letter.task_id),
                headers_of({EXPECTED: 0, MESSAGE_ID: f"letter-{letter.id}"}),
                bodies.get(letter.id, letter.body),
            )
            for letter, priority in letters
        ]
        for result in await publish_all(self._connection, items, self._connection.patience) if items else ():
            if isinstance(result, NatsError) and result.code != WRONG_SEQUENCE:
                raise result
        return await delete(self._connection, self._names.dead, [int(letter.id) for letter, _ in letters])

    async def purge(self, ids: Sequence[str] | None, older_than: float | None) -> int:
        """`QueueAdmin.purge_dead`."""
        if ids is None and older_than is None:
            found = await self._connection.api(f"STREAM.PURGE.{self._names.dead}")
            return int(found["purged"])
        numbers = await self._numbers() if ids is None else list(dict.fromkeys(_numbers_in(ids)))
        if older_than is not None:
            oldest = clock.time() - older_than
            numbers = [int(letter.id) for letter, _ in await self._read(numbers) if letter.died_at < oldest]
        return await delete(self._connection, self._names.dead, numbers)

    async def _numbers(self) -> list[int]:
        """Of all letters, the newest first."""
        stream = f"STREAM.INFO.{self._names.dead}"
        state: dict[str, Any] = (await self._connection.api(stream, {"deleted_details": True}))["state"]
        if not state["messages"]:
            return []
        gone: set[int] = set(state.get("deleted") or ())
        return [number for number in range(state["last_seq"], state["first_seq"] - 1, -1) if number not in gone]

    async def _read(self, numbers: Iterable[int]) -> list[tuple[DeadLetter, int]]:
        """Those that there are, in this order, each with its priority."""
        messages = await read_all(self._connection, self._names.dead, numbers)
        return [_letter(message) for message in messages if message is not None]


def _letter(message: Mapping[str, Any]) -> tuple[DeadLetter, int]:
    fields = fields_of(base64.b64decode(message.get("hdrs", "")))
    reason, detail = told(fields)
    queue, task_id = (text_of(part) for part in message["subject"].rsplit(".", 2)[1:])
    letter = DeadLetter(
        str(message["seq"]),
        base64.b64decode(message.get("data", "")),
        queue,
        reason,
        seconds_of(message["time"]),
        number_in(fields, ATTEMPTS),
        task_id,
        detail,
    )
    return letter, priority_of(fields.get(PRIORITY, ""))


def _numbers_in(ids: Sequence[str]) -> list[int]:
    return [int(item) for item in ids if item.isascii() and item.isdigit() and 0 < int(item) < 1 << 63]
