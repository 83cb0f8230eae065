"""What a worker has to know although the server takes no messages, as in an alarm about memory or disk.

Marks are asked for by messages, and from who sends one in an alarm the server reads nothing more. So they are asked for on the
connection of senders. What is not told there is asked for by name, which is an error in the server's log for each that is not
there, on the worker's connection, that never sends: consuming is what ends such an alarm.
"""

from collections.abc import Collection
from typing import Any

from pamqp import commands

from taskiq_core_brokers_rabbitmq.asking import ask_for
from taskiq_core_brokers_rabbitmq.errors import BlockedError
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.publisher import Publisher
from taskiq_core_brokers_rabbitmq.topology import Topology


class QueueDirectory:
    """Which queues of AMQP there are, and which queues are paused."""

    def __init__(self, topology: Topology, publisher: Publisher) -> None:
        self._topology = topology
        self._publisher = publisher

    async def among(self, link: Link, queues: Collection[str], pauses: Collection[str]) -> set[str]:
        """Those of these names of queues of AMQP, and of marks of paused queues, that there are.

        :param link: a connection that never sends, for use in an alarm.
        :raises RabbitError: if a connection broke.
        """
        try:
            return await self._topology.marked(await self._publisher.connector.link(), [*queues, *pauses])
        except BlockedError:
            there = {name for name in queues if await self._is_there(link, commands.Queue.Declare(queue=name, passive=True))}
            return there | {
                name for name in pauses if await self._is_there(link, commands.Exchange.Declare(exchange=name, passive=True))
            }

    async def _is_there(self, link: Link, question: Any) -> bool:
        return await ask_for(link, question, self._topology.patience) is not None
