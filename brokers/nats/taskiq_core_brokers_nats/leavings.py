"""Messages that are done with and still there.

A server that was killed knows which messages it had delivered, and takes their acknowledgements when it is started anew, but
deletes none of them then: it never delivers them again, and they stay for ever. So whoever sees a new server deletes what lies
below all that is open, until what was open when it was killed has ended one way or another.
"""

import asyncio
import logging
from collections.abc import Collection, Sequence

from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.errors import CONSUMER_NOT_FOUND, NatsError
from taskiq_core_brokers_nats.names import Names
from taskiq_core_brokers_nats.state import State

logger = logging.getLogger("taskiq.nats")

_LEASES = (0.0, 0.5, 1.0, 2.0, 4.0)
"""When it is done, in leases since the last time."""


class Leavings:
    """Of some queues."""

    def __init__(self, connection: Connection, names: Names, state: State, queues: Sequence[str], lease: float) -> None:
        self._connection, self._names, self._state = connection, names, state
        self._queues, self._lease = queues, lease
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There is a new server."""
        self.end()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="taskiq-nats-leavings")

    def end(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        for pause in _LEASES:
            await asyncio.sleep(pause * self._lease)
            try:
                levels = (await self._state.read())[1]
                for queue in self._queues:
                    await self._delete(queue, levels.get(queue, ()))
            except NatsError as error:  # the connection is made anew: then all this begins again
                logger.debug("Messages that are done with could not be deleted: %s", error)

    async def _delete(self, queue: str, levels: Collection[str]) -> None:
        for level in levels:
            try:
                found = await self._connection.api(f"CONSUMER.INFO.{self._names.queues}.{self._names.consumer(queue, level)}")
            except NatsError as error:
                if error.code != CONSUMER_NOT_FOUND:
                    raise
                continue
            if done := int(found["ack_floor"]["stream_seq"]):
                order = {"filter": self._names.filter(queue, level), "seq": done + 1}  # up to it, and without it
                await self._connection.api(f"STREAM.PURGE.{self._names.queues}", order)
