"""taskiq without I/O, results kept in memory, messages ready-made: `python taskiq_inmemory.py worker|callback`.

`worker` is its worker: a receiver that listens, 100 tasks at a time, as ours is measured. `callback` leaves everything out but
the receiver's work on one message after the other: no queue, no concurrency, no acknowledgement. Prints tasks and seconds.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncGenerator

from taskiq import InMemoryBroker
from taskiq.receiver import Receiver
from taskiq.serializers import ORJSONSerializer

COUNT = 20_000
SLOTS = 100

logging.disable(logging.CRITICAL)


class FilledBroker(InMemoryBroker):
    """Has the messages to listen to that the original refuses to have."""

    bodies: list[bytes] = []  # noqa: RUF012 - replaced as a whole

    async def listen(self) -> AsyncGenerator[bytes, None]:
        for body in self.bodies:
            yield body


async def main(variant: str) -> None:
    broker = FilledBroker(max_stored_results=COUNT).with_serializer(ORJSONSerializer())

    @broker.task(task_name="noop")
    async def noop() -> None:
        """The cheapest task."""

    await broker.startup()
    kicker = noop.kicker()
    broker.bodies = [broker.formatter.dumps(kicker._prepare_message()).message for _ in range(COUNT)]
    receiver = Receiver(broker, max_async_tasks=SLOTS, max_prefetch=SLOTS, run_startup=False)
    begin = time.perf_counter()
    if variant == "worker":
        await receiver.listen(asyncio.Event())
    else:
        for body in broker.bodies:
            await receiver.callback(message=body)
    seconds = time.perf_counter() - begin
    assert len(broker.result_backend.results) == COUNT
    await broker.shutdown()
    print(json.dumps({"tasks": COUNT, "seconds": seconds}))


asyncio.run(main(sys.argv[1]))
