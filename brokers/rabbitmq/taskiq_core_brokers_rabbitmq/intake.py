"""What becomes of a message that the server delivers: it is new, or ours already, or done with, or somebody may have had it."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core_brokers_rabbitmq import frames
from taskiq_core_brokers_rabbitmq.acknowledgements import Unacknowledged
from taskiq_core_brokers_rabbitmq.channel import Channel
from taskiq_core_brokers_rabbitmq.consumers import Consumers
from taskiq_core_brokers_rabbitmq.envelope import AGAIN, ATTEMPTS, COUNT, DEATHS, name_in, number, still_to_wait
from taskiq_core_brokers_rabbitmq.frames import Incoming
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.in_doubt import InDoubt
from taskiq_core_brokers_rabbitmq.receipt import Receipt


class Intake:
    """Of one channel.

    :param counts: whether the server counts how often a message came back.
    :param arrived: is called when something may be received.
    :param settle_later: carries out what it is given, soon.
    """

    def __init__(
        self,
        channel: Channel,
        holdings: Holdings,
        in_doubt: InDoubt,
        *,
        counts: bool,
        arrived: Callable[[], None],
        settle_later: Callable[[Sequence[Settlement]], None],
    ) -> None:
        self.consumers = Consumers(channel)
        self._channel = channel
        self._holdings = holdings
        self._in_doubt = in_doubt
        self._counts = counts
        self._arrived = arrived
        self._settle_later = settle_later
        self._unacknowledged = Unacknowledged(channel.number)
        self._loop = asyncio.get_running_loop()

    def take(self, message: Incoming) -> None:
        """The server has delivered it."""
        consumer, generation = self.consumers.by_tag(message.consumer)
        properties = frames.unpack_properties(message.properties)
        headers = properties.headers
        nonce = name_in(properties) or f"{id(self)}-{message.tag}"
        if generation == consumer.generation:
            consumer.taken += 1
        back = number(headers, COUNT)
        receipt = Receipt(nonce, consumer.level, properties.task_id, number(headers, ATTEMPTS) + back)
        returned = message.redelivered or back > 0 or number(headers, AGAIN) > 0
        if returned and (held := self._holdings.of(nonce)) is not None and held.receipt.channel is not self._channel:
            self._hold(held.receipt, message.tag, consumer.index, generation)
            return
        self._hold(receipt, message.tag, consumer.index, generation)
        delivery = Delivery(message.body, receipt, receipt.attempts + 1, consumer.queue, number(headers, DEATHS) + back)
        if returned and self._holdings.state_of(nonce) == "done":
            self.finish([delivery])
        elif (seconds := still_to_wait(headers)) > 0:
            self._holdings.take(delivery)
            self._settle_later([Settlement(delivery, Verdict.RETRY, delay=seconds)])
        elif returned:
            self._in_doubt.keep(delivery)
        else:
            self._admit([delivery])

    def come_back(self, deliveries: Sequence[Delivery]) -> None:
        """Their holder is lost. Where the server does not count that, a copy that does takes their place."""
        if self._counts:
            self._admit(deliveries)
            return
        for delivery in deliveries:
            delivery.deaths += 1
            delivery.receipt.attempts += 1
            self._holdings.take(delivery)
        self._settle_later([Settlement(delivery, Verdict.RELEASE) for delivery in deliveries])

    def finish(self, deliveries: Collection[Delivery]) -> None:
        """They are settled already: acknowledge them."""
        self._channel.wire.write(self.acks(deliveries))
        for delivery in deliveries:
            self._holdings.settled(delivery)

    def acks(self, deliveries: Collection[Delivery]) -> bytes:
        """The frames that acknowledge these, to be written at once."""
        for delivery in deliveries:
            self.consumers.settled(delivery.receipt)
        return self._unacknowledged.acks(deliveries)

    def _admit(self, deliveries: Iterable[Delivery]) -> None:
        """They may be received."""
        for delivery in deliveries:
            self._holdings.take(delivery)
            self.consumers.wait(delivery)
        self._arrived()

    def _hold(self, receipt: Receipt, tag: int, consumer: int, generation: int) -> None:
        self._unacknowledged.add(tag)
        receipt.since = self._loop.time()
        receipt.channel, receipt.tag, receipt.consumer, receipt.generation = self._channel, tag, consumer, generation
