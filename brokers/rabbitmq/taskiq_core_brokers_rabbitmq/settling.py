"""Carrying out verdicts: what goes on is published anew and confirmed, then all are acknowledged in one write."""

from collections.abc import Iterable, Sequence

from pamqp import commands

from taskiq_core.delivery import Delivery, Settlement, Verdict
from taskiq_core_brokers_rabbitmq.dead_letters import dead_headers
from taskiq_core_brokers_rabbitmq.envelope import copy_of
from taskiq_core_brokers_rabbitmq.errors import RabbitError
from taskiq_core_brokers_rabbitmq.holdings import Holdings
from taskiq_core_brokers_rabbitmq.publisher import Letter, Publisher
from taskiq_core_brokers_rabbitmq.receipt import Receipt
from taskiq_core_brokers_rabbitmq.topology import Topology
from taskiq_core_brokers_rabbitmq.worker_channels import WorkerChannels


class Settler:
    """Of one subscription."""

    def __init__(self, holdings: Holdings, publisher: Publisher, topology: Topology, patience: float) -> None:
        self._holdings = holdings
        self._publisher = publisher
        self._topology = topology
        self._patience = patience

    async def settle(self, channels: WorkerChannels, settlements: Sequence[Settlement]) -> None:
        """Carry them out; what is settled already is left alone.

        :raises RabbitError: if the server does not answer; the same batch may be sent again.
        """
        due = [item for item in settlements if not item.delivery.receipt.settled]
        # Again, as what had no connection may be ours again meanwhile: then it needs a copy after all.
        while copies := [(item, letter) for item in due if (letter := self._letter(channels, item)) is not None]:
            try:
                await self._publisher.publish([letter for _, letter in copies])
            except RabbitError as error:
                for item, _ in copies:
                    item.delivery.receipt.maybe_copied |= not error.certain
                raise
            for item, _ in copies:
                item.delivery.receipt.copied = True
        await self._acknowledge(channels, due)

    async def give_back(self, channels: WorkerChannels, deliveries: Sequence[Delivery]) -> None:
        """Into their queues, as if they had not been delivered; raises as `settle`."""
        await self.settle(channels, [Settlement(delivery, Verdict.RELEASE) for delivery in deliveries])

    def _letter(self, channels: WorkerChannels, item: Settlement) -> Letter | None:
        """What is to be published for a verdict."""
        receipt: Receipt = item.delivery.receipt
        if item.verdict is Verdict.ACK or receipt.copied:
            return None
        if _comes_back(item) and receipt.channel is not channels.work and not receipt.maybe_copied:
            return None
        if item.verdict is Verdict.REJECT:
            return self._dead(item, receipt)
        return copy_of(item.delivery, body=item.body, delay=item.delay)

    def _dead(self, item: Settlement, receipt: Receipt) -> Letter:
        delivery = item.delivery
        headers = dead_headers(
            delivery.queue or "", receipt.level, item.reason or "rejected", attempts=receipt.attempts, detail=item.detail
        )
        body = delivery.body if item.body is None else item.body
        return Letter(body, delivery.queue or "", receipt.level, receipt.task_id, headers, target=self._topology.names.dead)

    async def _acknowledge(self, channels: WorkerChannels, due: Iterable[Settlement]) -> None:
        if channels.work.closed is not None:
            raise channels.work.closed
        ours: list[Delivery] = []
        # Without a pause: what the server took back may be ours again after it.
        for item in due:
            receipt: Receipt = item.delivery.receipt
            if receipt.channel is channels.work:
                ours.append(item.delivery)
            elif _comes_back(item) and not receipt.copied:
                self._holdings.released(item.delivery)
            else:
                self._holdings.settled_unknown(item.delivery)
        acks = channels.intake.acks(ours)
        if ours:
            # The server handles what a channel sends in order: its answer to the last says that it has the others.
            await channels.work.call(commands.Basic.Qos(prefetch_count=1), after=acks, patience=self._patience)
            for delivery in ours:
                self._holdings.settled(delivery)


def _comes_back(item: Settlement) -> bool:
    """Whether the message shall come again just as it is, which it does when its holder is lost."""
    return item.verdict in {Verdict.RELEASE, Verdict.RETRY} and item.body is None and not item.delay
