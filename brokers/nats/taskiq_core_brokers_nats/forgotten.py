"""Messages that are done and there again: a server that was killed forgets what it has deleted last.

Of some it knows that they were acknowledged, so it delivers them to nobody, and would keep them for ever. Whoever has done them
deletes them; and should those have been killed too, whoever comes next.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import CONSUMER_NOT_FOUND, NatsError
from taskiq_core_brokers_nats.names import Names
from taskiq_core_brokers_nats.settling import SAME
from taskiq_core_brokers_nats.stream import delete, read_all, read_on, seconds_of


async def delete_again(connection: Connection, stream: str, keys: Iterable[str]) -> None:
    """Delete those of the messages with these keys (see `Receipt.key`) that are in the stream.

    :raises NatsError: if the server cannot be asked.
    """
    state: dict[str, Any] = (await connection.api(f"STREAM.INFO.{stream}", {"deleted_details": True}))["state"]
    deleted: set[int] = set(state.get("deleted") or ())
    pairs = [(int(number), int(nanoseconds) / 1e9) for number, _, nanoseconds in (key.partition(".") for key in keys)]
    there = [pair for pair in pairs if state["first_seq"] <= pair[0] <= state["last_seq"] and pair[0] not in deleted]
    found = await read_all(connection, stream, [number for number, _ in there])
    same = [
        number
        for (number, stored_at), message in zip(there, found, strict=True)
        if message is not None and abs(seconds_of(message["time"]) - stored_at) < SAME
    ]
    await delete(connection, stream, same)


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
    state = (await connection.api(f"STREAM.INFO.{stream}"))["state"]
    number = int(state["first_seq"]) - 1
    while number < last and (page := await read_on(connection, stream, subjects, number + 1)):
        number = int(page[-1]["seq"])
        await delete(connection, stream, [int(message["seq"]) for message in page if int(message["seq"]) <= last])
