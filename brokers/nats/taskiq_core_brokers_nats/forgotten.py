"""Messages that are done and there again: a server that was killed forgets what it has deleted last.

Of some it knows that they were acknowledged, so it delivers them to nobody, and would keep them for ever. Whoever has done them
deletes them; and should those have been killed too, whoever comes next.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import delete, read, seconds_of
from taskiq_core_brokers_nats.errors import CONSUMER_NOT_FOUND, MESSAGE_NOT_FOUND, NatsError
from taskiq_core_brokers_nats.names import Names
from taskiq_core_brokers_nats.settling import SAME

_PAGE = 200
"""How many are deleted at once."""


async def delete_again(connection: Connection, stream: str, keys: Iterable[str]) -> None:
    """Delete those of the messages with these keys (see `Receipt.key`) that are in the stream.

    :raises NatsError: if the server cannot be asked.
    """
    state: dict[str, Any] = (await connection.api(f"STREAM.INFO.{stream}", {"deleted_details": True}))["state"]
    deleted: set[int] = set(state.get("deleted") or ())

    async def delete_if_same(number: int, stored_at: float) -> None:
        found = await read(connection, stream, number)
        if found is not None and abs(seconds_of(found["time"]) - stored_at) < SAME:
            await delete(connection, stream, [number])

    pairs = [(int(number), int(nanoseconds) / 1e9) for number, _, nanoseconds in (key.partition(".") for key in keys)]
    there = [pair for pair in pairs if state["first_seq"] <= pair[0] <= state["last_seq"] and pair[0] not in deleted]
    await asyncio.gather(*(delete_if_same(*pair) for pair in there))


async def delete_acknowledged(connection: Connection, names: Names, queue: str, level: str, pause: float) -> None:
    """Delete what this part of a queue has delivered until now, and is acknowledged; returns when all of that is.

    Not by `STREAM.PURGE`: servers (2.9.10) forget then what is delivered and not acknowledged.

    :param pause: seconds between two looks, while something is not acknowledged, or the server is away.
    :raises NatsError: if the server refuses that.
    """
    delivered: int | None = None
    while True:
        try:
            found = await connection.api(f"CONSUMER.INFO.{names.queues}.{names.consumer(queue, level)}")
            if delivered is None:
                delivered = int(found["delivered"]["stream_seq"])
            acknowledged = int(found["ack_floor"]["stream_seq"])
            await _delete_up_to(connection, names.queues, names.filter(queue, level), acknowledged)
            if acknowledged >= delivered:
                return
        except NatsError as error:
            if error.code == CONSUMER_NOT_FOUND:
                return
            if not error.passing:
                raise
        await asyncio.sleep(pause)


async def _delete_up_to(connection: Connection, stream: str, subjects: str, last: int) -> None:
    number, numbers = 0, list[int]()
    while number < last:
        try:
            answer = await connection.api(f"STREAM.MSG.GET.{stream}", {"seq": number + 1, "next_by_subj": subjects})
        except NatsError as error:
            if error.code != MESSAGE_NOT_FOUND:
                raise
            break
        number = int(answer["message"]["seq"])
        if number <= last:
            numbers.append(number)
        if len(numbers) == _PAGE:
            await delete(connection, stream, numbers)
            numbers.clear()
    await delete(connection, stream, numbers)
