"""What one subscription holds, and what becomes of each message that the server delivers to it."""

import itertools
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from taskiq_core import clock
from taskiq_core.delivery import Delivery
from taskiq_core_brokers_nats.connection import Connection
from taskiq_core_brokers_nats.dead_letters import Cemetery, Grave
from taskiq_core_brokers_nats.forgotten import delete_again
from taskiq_core_brokers_nats.headers import DETAIL, REASON
from taskiq_core_brokers_nats.link import Link, Msg, pub
from taskiq_core_brokers_nats.pipelining import Item
from taskiq_core_brokers_nats.receipt import Receipt, receipt_of
from taskiq_core_brokers_nats.settling import replace

_REMEMBERED = 10_000
"""How many numbers of messages that are done, or replaced, are kept: servers deliver some of them again, as when killed."""
_TOLD = 2_000
"""How many of those are told to others after an outage."""

_TOGETHER = 0.05
"""Seconds between two moments at which messages fall due."""


class Holdings:
    """Deliveries by their keys.

    :param start: runs something in the background.
    """

    def __init__(
        self, connection: Connection, cemetery: Cemetery, lease: float, start: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._connection = connection
        self._cemetery = cemetery
        self._lease = lease
        self._start = start
        self._held: dict[str, Receipt] = {}
        self._done: OrderedDict[str, None] = OrderedDict()
        self._replacing: set[str] = set()
        self._others: dict[str, float] = {}
        self._patient_until = 0.0

    def all(self) -> list[Receipt]:
        """All that is held."""
        return list(self._held.values())

    def has(self, receipt: Receipt) -> bool:
        """Whether it is held."""
        return self._held.get(receipt.key) is receipt

    def settled(self, receipt: Receipt, *, done: bool) -> None:
        """It is held no more."""
        self._held.pop(receipt.key, None)
        if done:
            self._remember(receipt.key)

    def _remember(self, key: str) -> None:
        self._done[key] = None
        if len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    def be_patient(self) -> None:
        """There was an outage: others, whose leases could not be renewed either, get the time to do that now."""
        self._patient_until = time.monotonic() + self._lease

    def claim(self, link: Link, subject: str) -> None:
        """Say to all other workers what we hold and have done: a server that was killed may have forgotten it."""
        done = list(itertools.islice(reversed(self._done), _TOLD))
        held = [key for key, receipt in self._held.items() if receipt.server != link.server]
        if held or done:
            link.write(pub(subject, json.dumps({"held": held, "done": done}).encode()))

    def clean(self, stream: str) -> None:
        """The server is new: it may have forgotten that what we have done was deleted."""
        self._start(delete_again(self._connection, stream, list(self._done)))

    def ask(self, link: Link, subject: str) -> None:
        """Have all others claim what they hold; those that are not connected yet will do so by themselves."""
        self.claim(link, subject)
        link.write(pub(subject, b""))

    def hear(self, msg: Msg) -> None:
        """What another worker claims, or that it asks for that."""
        if not msg.data:
            if self._connection.link is not None:
                self.claim(self._connection.link, msg.subject)
            return
        claims: dict[str, list[str]] = json.loads(msg.data)
        now = time.monotonic()
        self._others = {key: until for key, until in self._others.items() if until > now}
        self._others |= dict.fromkeys(claims["held"], now + self._lease)
        for key in claims["done"]:
            if key not in self._held:
                self._remember(key)

    def sort(self, messages: Sequence[Msg], *, wanted: bool) -> list[Delivery]:
        """Those that are for the worker. The others are dealt with; unless they are `wanted`, that is all."""
        deliveries: list[Delivery] = []
        answers: list[bytes] = []
        back: dict[str, Item] = {}
        graves: list[Grave] = []
        server = "" if self._connection.link is None else self._connection.link.server
        for msg in messages:
            receipt = receipt_of(msg, server)
            if receipt.key in self._done:
                answers.append(pub(receipt.ack, b"+ACK"))
            elif receipt.key in self._held:
                answers.append(pub(receipt.ack, b"+WPI"))
            elif receipt.key in self._replacing or receipt.key in back:
                continue
            elif receipt.rejected:
                fields = {name: receipt.fields[name] for name in (REASON, DETAIL) if name in receipt.fields}
                graves.append(Grave(receipt.sequence, receipt.subject, receipt.attempts, fields, receipt.body))
            elif (seconds := self._to_wait(receipt)) > 0:
                answers.append(wait(receipt.ack, seconds))
            elif receipt.delivered > 1 and receipt.due is None:  # its holder is gone
                back[receipt.key] = receipt.item(attempts=receipt.attempts + 1, deaths=receipt.deaths + 1)
            elif wanted and receipt.due is None:
                self._held[receipt.key] = receipt
                deliveries.append(receipt.delivery(self._lease))
            else:
                back[receipt.key] = receipt.item(attempts=receipt.attempts, deaths=receipt.deaths)
        self._carry_out(answers, back, graves)
        return deliveries

    def _to_wait(self, receipt: Receipt) -> float:
        """Seconds until it may be taken."""
        if receipt.due is not None:
            return receipt.due - clock.time()
        now = time.monotonic()
        if receipt.key in self._others:
            return self._others[receipt.key] - now
        return self._lease if receipt.delivered > 1 and now < self._patient_until else 0.0

    def _carry_out(self, answers: list[bytes], back: dict[str, Item], graves: list[Grave]) -> None:
        if answers and self._connection.link is not None:
            self._connection.link.write(b"".join(answers))
        if back:
            self._replacing.update(back)
            self._start(self._replace(back))
        if graves:
            self._start(self._cemetery.bury(graves))

    async def _replace(self, items: Mapping[str, Item]) -> None:
        self._replacing.update(items)
        try:
            await replace(self._connection, list(items.values()), self._connection.patience)
        finally:
            self._replacing.difference_update(items)
        for key in items:
            self._remember(key)

    async def give_back(self, receipts: Sequence[Receipt]) -> None:
        """Let others have them, at once.

        :raises NatsError: if that cannot be done; the end of their leases does the same.
        """
        for receipt in receipts:
            self.settled(receipt, done=False)
        if receipts:
            await self._replace({item.key: item.item(attempts=item.attempts + 1, deaths=item.deaths) for item in receipts})


def wait(ack: str, seconds: float) -> bytes:
    """Have a message delivered again after so long, or a moment later: together with others that are due then.

    A server looks at all that it has delivered each time that something is due.
    """
    together = math.ceil((time.time() + seconds) / _TOGETHER) * _TOGETHER - time.time()
    return pub(ack, b"-NAK " + json.dumps({"delay": max(1, round(together * 1e9))}).encode())
