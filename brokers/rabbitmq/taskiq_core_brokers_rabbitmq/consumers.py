"""What the server delivers, by queue of AMQP, and how much of it is asked for.

AMQP 0-9-1 has no credit. A consumer's prefetch stands in for it: a consumer is begun with as much prefetch as `receive` may
return, and begun anew when that is used up. As long as the worker asks for what it has settled, the prefetch renews itself.

Who cancels a consumer that may be given something in this moment makes a quorum queue take that back, and count a delivery that
nobody saw: so one is cancelled when it is full, or after nobody has asked for a while.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Any

from pamqp import commands

from taskiq_core.delivery import Delivery
from taskiq_core.low_share import LowShare
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.receipt import Receipt

_MOST = 60_000
"""The largest prefetch; AMQP's numbers end at 65535."""


class Consumer:
    """One queue of AMQP on one channel."""

    __slots__ = ("generation", "index", "level", "name", "prefetch", "queue", "taken", "waiting")

    def __init__(self, index: int, name: str, queue: str, level: int) -> None:
        self.index = index
        self.name = name
        self.queue = queue
        self.level = level
        self.generation = 0
        self.prefetch = 0
        """Of the consumer there is; 0 without one."""
        self.taken = 0
        """What that consumer has been given and is not settled."""
        self.waiting: deque[Delivery] = deque()

    @property
    def tag(self) -> str:
        """The consumer's name."""
        return f"{self.index}.{self.generation}"


DepthQuestion = tuple[Consumer, asyncio.Future[Any]]
"""A consumer and what the server will say of its queue."""


class Consumers:
    """All of one channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.consumers: list[Consumer] = []
        self._levels: list[list[Consumer]] = []
        self._share = LowShare()

    def add(self, name: str, queue: str, level: int) -> None:
        """One more, if it is not there yet."""
        if any(consumer.name == name for consumer in self.consumers):
            return
        self.consumers.append(Consumer(len(self.consumers), name, queue, level))
        by_level: dict[int, list[Consumer]] = {}
        for consumer in self.consumers:
            by_level.setdefault(consumer.level, []).append(consumer)
        self._levels = [by_level[key] for key in sorted(by_level, reverse=True)]

    def by_tag(self, tag: str) -> tuple[Consumer, int]:
        """The consumer and the generation of a consumer, by its tag."""
        index, _, generation = tag.partition(".")
        return self.consumers[int(index)], int(generation)

    def settled(self, receipt: Receipt) -> None:
        """One that this channel delivered is settled: the server may send another in its place."""
        consumer = self.consumers[receipt.consumer]
        if consumer.generation == receipt.generation:
            consumer.taken -= 1

    def wait(self, delivery: Delivery) -> None:
        """It has come, and may be taken."""
        receipt: Receipt = delivery.receipt
        self.consumers[receipt.consumer].waiting.append(delivery)

    # -- what has come --------------------------------------------------------------------------------------------------------

    def take(self, limit: int) -> list[Delivery]:
        """At most `limit` of what has come: highest level first, but for the share of lower ones."""
        taken: list[Delivery] = []
        owed = self._share.owed(limit)
        if owed and (level := self._share.turn(self._highest_below)) is not None:
            self._take_from(next(group for group in self._levels if group[0].level == level), owed, taken)
        for group in self._levels:
            self._take_from(group, limit, taken)
        self._share.delivered(len(taken))
        return taken

    def take_all(self, queues: Collection[str] | None = None) -> list[Delivery]:
        """All that has come, or all of some queues."""
        chosen = [consumer for consumer in self.consumers if queues is None or consumer.queue in queues]
        taken = [delivery for consumer in chosen for delivery in consumer.waiting]
        for consumer in chosen:
            consumer.waiting.clear()
        return taken

    def _highest_below(self, level: int) -> int | None:
        return next(
            (group[0].level for group in self._levels if group[0].level < level and any(s.waiting for s in group)), None
        )

    @staticmethod
    def _take_from(group: list[Consumer], limit: int, taken: list[Delivery]) -> None:
        """Fill up to `limit`, from queues in turn."""
        if len(group) > 1:
            group.append(group.pop(0))
        while len(taken) < limit:
            before = len(taken)
            for consumer in group:
                if consumer.waiting and len(taken) < limit:
                    taken.append(consumer.waiting.popleft())
            if len(taken) == before:
                return

    # -- asking for more ------------------------------------------------------------------------------------------------------

    def ask(self, limit: int, paused: Collection[str]) -> list[DepthQuestion]:
        """See to it that something may come from each consumer whose queue is not paused, `limit` where it is asked anew.

        Returns what tells, of consumers that are asked anew beside others, how much is there.
        """
        data, questions = b"", list[DepthQuestion]()
        for consumer in self.consumers:
            if consumer.queue in paused:
                data += self._begin(consumer, 0)
            elif consumer.prefetch - consumer.taken < 1 and not consumer.waiting:
                if len(self._levels) > 1:
                    question, answer = self.channel.prepare_question(commands.Queue.Declare(queue=consumer.name, passive=True))
                    data += question
                    questions.append((consumer, answer))
                data += self._begin(consumer, min(limit, _MOST))
        if data:
            self.channel.wire.write(data)
        return questions

    def stop(self, queue: str) -> None:
        """Ask for nothing more of one queue."""
        data = b"".join(self._begin(consumer, 0) for consumer in self.consumers if consumer.queue == queue)
        if data and self.channel.closed is None:
            self.channel.wire.write(data)

    def rest(self) -> None:
        """Ask for nothing more; what is on its way still comes."""
        data = b"".join(self._begin(consumer, 0) for consumer in self.consumers)
        if data and self.channel.closed is None:
            self.channel.wire.write(data)

    def _begin(self, consumer: Consumer, prefetch: int) -> bytes:
        data = b""
        if consumer.prefetch:
            data = self.channel.prepare(commands.Basic.Cancel(consumer_tag=consumer.tag, nowait=True))
        consumer.prefetch, consumer.taken = prefetch, 0
        consumer.generation += 1
        if not prefetch:
            return data
        data += self.channel.prepare(commands.Basic.Qos(prefetch_count=prefetch))
        return data + self.channel.prepare(commands.Basic.Consume(queue=consumer.name, consumer_tag=consumer.tag, nowait=True))
