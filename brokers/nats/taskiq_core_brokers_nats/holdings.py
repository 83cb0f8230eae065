"""What one subscription holds, and what becomes of each message that the server delivers to it."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from taskiq_core import clock
from taskiq_core.delivery import Delivery
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import Cemetery, Grave
from taskiq_core_brokers_nats.headers import DETAIL, REASON
from taskiq_core_brokers_nats.link import Msg, pub
from taskiq_core_brokers_nats.publishing import Item
from taskiq_core_brokers_nats.receipt import Receipt, receipt_of
from taskiq_core_brokers_nats.settling import replace

_REMEMBERED = 10_000
"""How many numbers of messages that are done, or replaced, are kept: servers deliver some of them again, as when killed."""


class Holdings:
    """Deliveries by their numbers in the stream.

    :param start: runs something in the background.
    """

    def __init__(
        self, connection: Connection, cemetery: Cemetery, lease: float, start: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._connection = connection
        self._cemetery = cemetery
        self._lease = lease
        self._start = start
        self._held: dict[int, Receipt] = {}
        self._done: OrderedDict[int, None] = OrderedDict()
        self._replacing: set[int] = set()
        self._patient_until = 0.0

    def all(self) -> list[Receipt]:
        """All that is held."""
        return list(self._held.values())

    def has(self, receipt: Receipt) -> bool:
        """Whether it is held."""
        return self._held.get(receipt.sequence) is receipt

    def settled(self, receipt: Receipt, *, done: bool) -> None:
        """It is held no more."""
        self._held.pop(receipt.sequence, None)
        if done:
            self._remember(receipt.sequence)

    def _remember(self, number: int) -> None:
        self._done[number] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    def be_patient(self) -> None:
        """There was an outage: others, whose leases could not be renewed either, get the time to do that now."""
        self._patient_until = time.monotonic() + self._lease

    def sort(self, messages: Sequence[Msg], *, wanted: bool) -> list[Delivery]:
        """Those that are for the worker. The others are dealt with; unless they are `wanted`, that is all."""
        deliveries: list[Delivery] = []
        answers: list[bytes] = []
        back: dict[int, Item] = {}
        graves: list[Grave] = []
        for msg in messages:
            receipt = receipt_of(msg)
            if receipt.sequence in self._done:
                answers.append(pub(receipt.ack, b"+ACK"))
            elif receipt.sequence in self._held:
                answers.append(pub(receipt.ack, b"+WPI"))
            elif receipt.sequence in self._replacing:
                continue
            elif receipt.rejected:
                fields = {name: receipt.fields[name] for name in (REASON, DETAIL) if name in receipt.fields}
                graves.append(Grave(receipt.sequence, receipt.subject, receipt.attempts, fields, receipt.body))
            elif (seconds := self._to_wait(receipt)) > 0:
                answers.append(wait(receipt.ack, seconds))
            elif receipt.delivered > 1 and receipt.due is None:  # its holder is gone
                back[receipt.sequence] = receipt.item(attempts=receipt.attempts + 1, deaths=receipt.deaths + 1)
            elif wanted and receipt.due is None:
                self._held[receipt.sequence] = receipt
                deliveries.append(receipt.delivery(self._lease))
            else:
                back[receipt.sequence] = receipt.item(attempts=receipt.attempts, deaths=receipt.deaths)
        self._carry_out(answers, back, graves)
        return deliveries

    def _to_wait(self, receipt: Receipt) -> float:
        """Seconds until it may be taken."""
        if receipt.due is not None:
            return receipt.due - clock.time()
        return self._lease if receipt.delivered > 1 and time.monotonic() < self._patient_until else 0.0

    def _carry_out(self, answers: list[bytes], back: dict[int, Item], graves: list[Grave]) -> None:
        if answers and self._connection.link is not None:
            self._connection.link.write(b"".join(answers))
        if back:
            self._replacing.update(back)
            self._start(self._replace(back))
        if graves:
            self._start(self._cemetery.bury(graves))

    async def _replace(self, items: Mapping[int, Item]) -> None:
        self._replacing.update(items)
        try:
            await replace(self._connection, list(items.values()), self._connection.patience)
        finally:
            self._replacing.difference_update(items)
        for number in items:
            self._remember(number)

    async def give_back(self, receipts: Sequence[Receipt]) -> None:
        """Let others have them, at once.

        :raises NatsError: if that cannot be done; the end of their leases does the same.
        """
        for receipt in receipts:
            self.settled(receipt, done=False)
        if receipts:
            await self._replace({item.sequence: item.item(attempts=item.attempts + 1, deaths=item.deaths) for item in receipts})


def wait(ack: str, seconds: float) -> bytes:
    """Have a message delivered again after so long."""
    return pub(ack, b"-NAK " + json.dumps({"delay": max(1, round(seconds * 1e9))}).encode())
