"""Queues and dead letters for operators."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakSet

from pamqp import commands

from taskiq_core.abc.evacuation import Evacuation
from taskiq_core.abc.queue_admin import QueueAdmin, QueueDepth
from taskiq_core.delivery import DeadLetter
from taskiq_core_brokers_rabbitmq.asking import ask_for
from taskiq_core_brokers_rabbitmq.connector import Connector
from taskiq_core_brokers_rabbitmq.dead_letters import DeadLetters
from taskiq_core_brokers_rabbitmq.evacuation import RabbitEvacuation
from taskiq_core_brokers_rabbitmq.names import DELAYS, LEVELS
from taskiq_core_brokers_rabbitmq.pauses import Pauses
from taskiq_core_brokers_rabbitmq.publisher import Publisher
from taskiq_core_brokers_rabbitmq.topology import Topology


class RabbitAdmin(QueueAdmin):
    """See ADR 0045.

    :param publisher: that of the process, on its connection; raises before the broker is started.
    :param connect: makes a connector for one call.
    :param leased: how many messages of a queue the workers of this process hold: the server does not tell of others.
    """

    def __init__(
        self,
        publisher: Callable[[], Publisher],
        connect: Callable[[], Connector],
        topology: Topology,
        leased: Callable[[str], int],
    ) -> None:
        self._publisher = publisher
        self._connect = connect
        self._topology = topology
        self._leased = leased
        self._evacuations = WeakSet[RabbitEvacuation]()

    async def depth(self, queue: str) -> QueueDepth:
        found = await self._ask(queue, lambda name: commands.Queue.Declare(queue=name, passive=True))
        ready = sum(found.get(self._topology.names.ready(queue, level), 0) for level in LEVELS)
        return QueueDepth(ready=ready, delayed=sum(found.values()) - ready, leased=self._leased(queue))

    async def purge(self, queue: str) -> int:
        return sum((await self._ask(queue, lambda name: commands.Queue.Purge(queue=name))).values())

    async def _ask(self, queue: str, question: Callable[[str], Any]) -> dict[str, int]:
        """Ask one question about each queue of AMQP that a queue has; the counts of messages in the answers, by name."""
        connector, topology, names = self._publisher().connector, self._topology, self._topology.names
        link = await connector.link()
        known = [names.ready(queue, level) for level in LEVELS] + [names.delayed(queue, delay) for delay in DELAYS]
        found: dict[str, int] = {}
        for name in sorted(await topology.marked(link, known)):
            if (answer := await ask_for(link, question(name), connector.patience)) is not None:
                found[name] = int(answer.message_count)
        return found

    async def pause(self, queue: str) -> None:
        await self._pauses().pause(queue)

    async def resume(self, queue: str) -> None:
        await self._pauses().resume(queue)

    async def paused(self) -> frozenset[str]:
        return await self._pauses().all()

    def evacuate(self, queue: str) -> Evacuation:
        evacuation = RabbitEvacuation(self._connect, self._topology, self._publisher(), queue)
        self._evacuations.add(evacuation)
        return evacuation

    def close(self) -> None:
        """Let go of what evacuations that were not left still hold."""
        for evacuation in self._evacuations:
            evacuation.close()

    # -- dead letters ---------------------------------------------------------------------------------------------------------

    async def dead_letters(
        self, *, queue: str | None = None, limit: int = 100, before: str | None = None
    ) -> Sequence[DeadLetter]:
        return await (await self._dead()).newest(queue, limit, before)

    async def find_dead(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        return await (await self._dead()).find(ids)

    async def requeue_dead(self, ids: Sequence[str], bodies: Mapping[str, bytes] | None = None) -> int:
        return await (await self._dead()).requeue(ids, bodies or {})

    async def purge_dead(self, ids: Sequence[str] | None = None, *, older_than: float | None = None) -> int:
        return await (await self._dead()).purge(ids, older_than)

    async def _dead(self) -> DeadLetters:
        """With their queue declared."""
        publisher = self._publisher()
        await self._topology.ensure_base(await publisher.connector.link())
        return DeadLetters(self._connect, self._topology, publisher)

    def _pauses(self) -> Pauses:
        return Pauses(self._connect, self._topology, self._publisher())
