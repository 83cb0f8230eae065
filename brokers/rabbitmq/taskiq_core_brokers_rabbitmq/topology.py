"""Which queues and exchanges there are, what they are called, and declaring them.

Everything is declared by whoever needs it first, once per connection; what exists already as it should is left alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, unquote

from pamqp import commands

from taskiq_core.exceptions import ConfigurationError
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.errors import ChannelClosedError, blocked, explain_closing
from taskiq_core_brokers_rabbitmq.link import Link

LEVELS = range(10)
"""Priorities; each has a queue of its own, if it was ever used."""
DELAYS = tuple(1 << exponent for exponent in range(5, 32))
"""Milliseconds that a message waits in each of the queues for delays; see ADR 0044."""
LONGEST = sum(DELAYS)
"""Milliseconds that one passage through them can take; a longer delay takes several."""

DELIVERY_LIMIT = 100
_QUORUM_SINCE = (3, 10)
_NEVER = 1_000_000_000
"""Deliveries; RabbitMQ 4 has a limit where none is given."""
_LONGEST_NAME = 190
"""Bytes of a queue's name, as we write it: with what comes around it AMQP allows 255."""
_SAFE = " ,@"
"""Characters of queue names that need no escape, besides letters, digits, `_` and `-`."""

QueueType = Literal["quorum", "classic"]


@dataclass(frozen=True)
class Topology:
    """Names and kinds, the same for every process that shares the queues.

    :param queue_type: None: quorum queues where the server has them as we need them, else classic ones.
    :param delivery_limit: how often a message may come back because its holder was lost; then it goes to the dead letters.
    """

    prefix: str
    queue_type: QueueType | None
    delivery_limit: int
    patience: float

    # -- names ----------------------------------------------------------------------------------------------------------------

    def ready(self, queue: str, level: int) -> str:
        """The queue of AMQP that holds what is ready, of one priority."""
        return f"{self.prefix}:{self.word(queue)}:{level}"

    def delayed(self, queue: str, delay: int) -> str:
        """The queue of AMQP in which messages wait so many milliseconds, one of `DELAYS`."""
        return f"{self.prefix}:{self.word(queue)}:delay:{delay}"

    @cached_property
    def dead(self) -> str:
        """The queue of AMQP that holds dead letters."""
        return f"{self.prefix}:dead"

    @cached_property
    def news(self) -> str:
        """The exchange that tells every worker what has changed."""
        return f"{self.prefix}:news"

    @cached_property
    def pauses(self) -> str:
        """The queue of AMQP that holds the names of queues that may be paused."""
        return f"{self.prefix}:pauses"

    @cached_property
    def marks(self) -> str:
        """The exchange whose bindings are marks."""
        return f"{self.prefix}:marks"

    @cached_property
    def sink(self) -> str:
        """The queue of AMQP that keeps nothing."""
        return f"{self.prefix}:sink"

    def step(self, index: int) -> str:
        """The exchange before the queues of a delay; -1 is that of what is due."""
        return f"{self.prefix}:delay:{DELAYS[index]}" if index >= 0 else f"{self.prefix}:due"

    @staticmethod
    def word(queue: str) -> str:
        """A queue's name as one word of a topic, and without the colons that are ours.

        :raises ConfigurationError: if it is too long for AMQP.
        """
        # pamqp takes neither % nor letters beyond ASCII in names of queues; . # * mean something in topics.
        word = quote(queue, safe=_SAFE).replace(".", "%2E").replace("~", "%7E").replace("%", "+")
        if len(word) > _LONGEST_NAME:
            raise ConfigurationError(
                reason=f"The name of the queue {queue[:40]!r}... is too long for RabbitMQ: use a shorter one."
            )
        return word

    @staticmethod
    def queue_of(word: str) -> str:
        """The queue that `word` made this of."""
        return unquote(word.replace("+", "%"))

    # -- kinds ----------------------------------------------------------------------------------------------------------------

    def kind(self, link: Link) -> QueueType:
        """Of the queues that hold messages."""
        return self.queue_type or ("quorum" if link.version >= _QUORUM_SINCE else "classic")

    def ready_arguments(self, link: Link) -> dict[str, Any]:
        """Of a queue for what is ready."""
        if self.kind(link) == "classic":
            return {"x-queue-type": "classic"}
        dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.dead}
        return {**_QUORUM, **dead, "x-delivery-limit": self.delivery_limit}

    def delay_arguments(self, link: Link, index: int) -> dict[str, Any]:
        """Of a queue for what waits."""
        passing = {"x-message-ttl": DELAYS[index], "x-dead-letter-exchange": self.step(index - 1)}
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
                _exchange(self.news, "fanout"),
                _exchange(self.marks, "direct"),
                _exchange(self.step(-1), "topic"),
                _queue(self.sink, {"x-queue-type": "classic", "x-max-length": 0}),
                _queue(self.dead, self.dead_arguments(link)),
            ],
        )

    async def ensure_pauses(self, link: Link) -> None:
        """What pausing needs; raises as `ensure`."""
        await self.ensure_base(link)
        await self._declare(link, [_queue(self.pauses, self.dead_arguments(link))])

    async def ensure(self, link: Link, places: Iterable[tuple[str, int]]) -> None:
        """The queues of AMQP for what is ready, by queue and level.

        :raises UnusableRabbitError: if one exists that is not as it should be.
        :raises RabbitError: if the connection broke.
        """
        missing = [place for place in places if self.ready(*place) not in link.declared]
        if missing:
            await self.ensure_base(link)
            await self._declare(link, [_queue(self.ready(*place), self.ready_arguments(link)) for place in missing])
            # What waits may be due at any time, also for a queue that was deleted meanwhile.
            due = [_binding(self.ready(*place), self.step(-1), f"#.{self.word(place[0])}.{place[1]}") for place in missing]
            await self._declare(link, [*due, *(self.mark(self.ready(*place)) for place in missing)])

    async def ensure_delays(self, link: Link, place: tuple[str, int], delays: Iterable[int]) -> None:
        """What messages of a queue and level need that wait, by indexes of `DELAYS`; raises as `ensure`."""
        queue, _ = place
        await self.ensure(link, [place])
        steps = [_exchange(self.step(index), "topic") for index in range(len(DELAYS))]
        passing = [_onward(self.step(index - 1), self.step(index), _pattern(index, "0", "#")) for index in range(len(DELAYS))]
        await self._declare(link, [*steps, *passing])
        for index in delays:
            name = self.delayed(queue, DELAYS[index])
            waiting = _queue(name, self.delay_arguments(link, index))
            await self._declare(
                link,
                [
                    waiting,
                    _binding(name, self.step(index), _pattern(index, "1", *["*"] * index, self.word(queue), "*")),
                    self.mark(name),
                ],
            )

    async def _declare(self, link: Link, wanted: Sequence[Any]) -> None:
        keys = [_key(item) for item in wanted]
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

    # -- marks ----------------------------------------------------------------------------------------------------------------

    def pause_mark(self, queue: str) -> str:
        """The mark of a queue that is paused, and the exchange that is there as long as it is."""
        return f"{self.prefix}:pause:{self.word(queue)}"

    def pausing(self, queue: str) -> list[Any]:
        """The methods that set the mark of a queue that is paused, so that it can be asked for by name too."""
        name = self.pause_mark(queue)
        return [_exchange(name, "fanout"), _binding(self.sink, name, ""), _onward(name, self.marks, name)]

    def resuming(self, queue: str) -> list[Any]:
        """The methods that take it away; nothing happens to one that is not there."""
        return [commands.Exchange.Delete(exchange=self.pause_mark(queue))]

    def mark(self, name: str) -> Any:
        """The method that sets a mark: a binding, which lasts as long as queues do, and is set again without harm."""
        return _binding(self.sink, self.marks, name)

    async def marked(self, link: Link, names: Sequence[str]) -> set[str]:
        """Those of these names that have been marked. One round trip.

        A message to a mark that nobody has set comes back; others end in a queue that keeps nothing. (To ask for queues by
        their names would be an error for each that is not there, in the server's log too.)

        :raises BlockedError: if the server takes no messages now.
        :raises RabbitError: if the connection broke.
        """
        if link.blocked:
            raise blocked(link.place, link.blocked, certain=True)
        await self.ensure_base(link)
        channel = link.reserve()
        missing: set[str] = set()
        channel.on_blocked = channel.close
        channel.on_return = lambda message: missing.add(message.routing_key)
        data = channel.prepare(commands.Channel.Open())
        exchange = self.marks.encode()
        for name in names:
            data += frames.publication(channel.number, link.frame_max, (exchange, name.encode()), frames.NO_PROPERTIES, b"")
        await channel.finish(data, patience=self.patience)
        return set(names) - missing

    # -- news -----------------------------------------------------------------------------------------------------------------

    async def tell(self, link: Link, news: Iterable[str], *, after: Iterable[Any] = ()) -> None:
        """Tell every worker, once the server has carried out some methods; when this returns the news is on its way."""
        channel = link.reserve()
        data = b"".join(channel.prepare(method) for method in (commands.Channel.Open(), *after))
        address = (self.news.encode(), b"")
        for text in news:
            data += frames.publication(channel.number, link.frame_max, address, frames.NO_PROPERTIES, text.encode())
        await channel.finish(data, patience=self.patience)


_QUORUM = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once"}


def path(milliseconds: int) -> list[int]:
    """Which of `DELAYS` make up a delay, by index, the longest first; no less than asked for, up to `LONGEST`."""
    units = min(-(-milliseconds // DELAYS[0]), LONGEST // DELAYS[0])
    return [index for index in reversed(range(len(DELAYS))) if units >> index & 1]


def delay_key(steps: Sequence[int], queue: str, level: int) -> str:
    """The routing key of a message that takes these steps: one word for each of `DELAYS`, the longest first."""
    bits = ("1" if index in steps else "0" for index in reversed(range(len(DELAYS))))
    return ".".join((*bits, Topology.word(queue), str(level)))


def _pattern(index: int, bit: str, *rest: str) -> str:
    return ".".join((*["*"] * (len(DELAYS) - 1 - index), bit, *rest))


def _exchange(name: str, kind: str) -> Any:
    return commands.Exchange.Declare(exchange=name, exchange_type=kind, durable=True)


def _queue(name: str, arguments: dict[str, Any]) -> Any:
    return commands.Queue.Declare(queue=name, durable=True, arguments=arguments)


def _binding(queue: str, exchange: str, key: str) -> Any:
    return commands.Queue.Bind(queue=queue, exchange=exchange, routing_key=key)


def _onward(destination: str, source: str, key: str) -> Any:
    return commands.Exchange.Bind(destination=destination, source=source, routing_key=key)


def _key(item: Any) -> str:
    if isinstance(item, commands.Queue.Declare):
        return str(item.queue)
    if isinstance(item, commands.Exchange.Declare):
        return f"exchange {item.exchange}"
    target = item.queue if isinstance(item, commands.Queue.Bind) else item.destination
    source = item.source if isinstance(item, commands.Exchange.Bind) else item.exchange
    return f"{target} from {source} by {item.routing_key}"
