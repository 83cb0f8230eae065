"""Messages that are done and there again: a server that was killed forgets what it has deleted last.

It knows that they were acknowledged, so it delivers them to nobody, and keeps them for ever. Whoever has done them deletes
them.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import delete, read, seconds_of
from taskiq_core_brokers_nats.settling import SAME


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
