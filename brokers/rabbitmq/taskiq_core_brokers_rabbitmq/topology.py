"""Which queues and exchanges there are, and declaring them.

Everything is declared by whoever needs it first, once per connection; what exists already as it should is left alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pamqp import commands

from taskiq_core_brokers_rabbitmq.declarations import binding, exchange, identity, onward, queue
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, explain_closing
from taskiq_core_brokers_rabbitmq.link import Link
from taskiq_core_brokers_rabbitmq.marks import mark, marked
from taskiq_core_brokers_rabbitmq.names import DELAYS, Names, delay_pattern, word_of

DELIVERY_LIMIT = 100
_QUORUM_SINCE = (3, 10)
_NEVER = 1_000_000_000
"""Deliveries; RabbitMQ 4 has a limit where none is given."""

QueueType = Literal["quorum", "classic"]


@dataclass(frozen=True)
class Topology:
    """Names, kinds and arguments, the same for every process that shares the queues.

    :param queue_type: None: quorum queues where the server has them as we need them, else classic ones.
    :param delivery_limit: how often a message may come back because its holder was lost; then it goes to the dead letters.
    """

    names: Names
    queue_type: QueueType | None
    delivery_limit: int
    patience: float

    # -- kinds ----------------------------------------------------------------------------------------------------------------

    def kind(self, link: Link) -> QueueType:
        """Of the queues that hold messages."""
        return self.queue_type or ("quorum" if link.version >= _QUORUM_SINCE else "classic")

    def ready_arguments(self, link: Link) -> dict[str, Any]:
        """Of a queue for what is ready."""
        if self.kind(link) == "classic":
            return {"x-queue-type": "classic"}
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.names.dead}
        return {**_QUORUM, **dead, "x-delivery-limit": self.delivery_limit}

    def delay_arguments(self, link: Link, index: int) -> dict[str, Any]:
        """Of a queue for what waits."""
        passing = {"x-message-ttl": DELAYS[index], "x-dead-letter-exchange": self.names.step(index - 1)}
        if self.kind(link) == "classic":
            return {"x-queue-type": "classic", **passing}
        return {**_QUORUM, **passing, "x-delivery-limit": _NEVER}

    def dead_arguments(self, link: Link) -> dict[str, Any]:
        """Of the queue for dead letters, and of others that are looked through."""
        kind = self.kind(link)
        return {"x-queue-type": kind, "x-delivery-limit": _NEVER} if kind == "quorum" else {"x-queue-type": kind}

    # -- declaring ------------------------------------------------------------------------------------------------------------

    async def ensure_base(self, link: Link) -> None:
        """What is there whatever the queues: news, and dead letters."""
        await self._declare(
            link,
            [
                exchange(self.names.news, "fanout"),
                exchange(self.names.marks, "direct"),
                exchange(self.names.step(-1), "topic"),
                queue(self.names.sink, {"x-queue-type": "classic", "x-max-length": 0}),
                queue(self.names.dead, self.dead_arguments(link)),
            ],
        )

    async def ensure_pauses(self, link: Link) -> None:
        """What pausing needs; raises as `ensure`."""
        await self.ensure_base(link)
        await self._declare(link, [queue(self.names.pauses, self.dead_arguments(link))])

    async def ensure(self, link: Link, places: Iterable[tuple[str, int]]) -> None:
        """The queues of AMQP for what is ready, by queue and level.

        :raises UnusableRabbitError: if one exists that is not as it should be.
        :raises RabbitError: if the connection broke.
        """
        missing = [place for place in places if self.names.ready(*place) not in link.declared]
        if missing:
            await self.ensure_base(link)
            await self._declare(link, [queue(self.names.ready(*place), self.ready_arguments(link)) for place in missing])
            # What waits may be due at any time, also for a queue that was deleted meanwhile.
            due = [
                binding(self.names.ready(*place), self.names.step(-1), f"#.{word_of(place[0])}.{place[1]}") for place in missing
            ]
            await self._declare(link, [*due, *(mark(self.names, self.names.ready(*place)) for place in missing)])

    async def ensure_delays(self, link: Link, place: tuple[str, int], delays: Iterable[int]) -> None:
        """What messages of a queue and level need that wait, by indexes of `DELAYS`; raises as `ensure`."""
        await self.ensure(link, [place])
        steps = [exchange(self.names.step(index), "topic") for index in range(len(DELAYS))]
        passing = [
            onward(self.names.step(index - 1), self.names.step(index), delay_pattern(index, "0", "#"))
            for index in range(len(DELAYS))
        ]
        await self._declare(link, [*steps, *passing])
        for index in delays:
            name = self.names.delayed(place[0], DELAYS[index])
            waiting = queue(name, self.delay_arguments(link, index))
            await self._declare(
                link,
                [
                    waiting,
                    binding(name, self.names.step(index), delay_pattern(index, "1", *["*"] * index, word_of(place[0]), "*")),
                    mark(self.names, name),
                ],
            )

    async def _declare(self, link: Link, wanted: Sequence[Any]) -> None:
        keys = [identity(item) for item in wanted]
        missing = [item for key, item in zip(keys, wanted, strict=True) if key not in link.declared]
        if not missing:
            return
        channel = link.reserve()
        try:
            await channel.call(commands.Channel.Open(), *missing, patience=self.patience)
        except ChannelClosedError as error:
            raise explain_closing(link.place, error) from error
        finally:
            channel.close()
        link.declared.update(keys)

    async def marked(self, link: Link, wanted: Sequence[str]) -> set[str]:
        """Those of these names that have been marked; raises as `marks.marked`."""
        await self.ensure_base(link)
        return await marked(link, self.names, wanted, self.patience)


_QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"}
