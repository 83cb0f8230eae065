"""What a subscription holds, over all its connections."""

from collections.abc import Iterable, Sequence
from typing import Literal

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq.memory import Memory

_RECENT = 5.0
"""Seconds after which what is settled will not come again, while the connection lives."""
_LOST = 3600.0
"""Seconds for what was settled without the server's knowing."""
_MOST = 100_000

State = Literal["mine", "done", "free"]


class Holdings:
    """Deliveries by the publication they are of.

    After a connection broke the server delivers again what it had delivered: to us, what we still work at is merely ours again,
    and what we have settled meanwhile is acknowledged. Others ask us before they work at it.
    """

    def __init__(self) -> None:
        self._held: dict[str, Delivery] = {}
        self._recent = Memory(_RECENT, _MOST)
        self._lost = Memory(_LOST, _MOST)

    def of(self, nonce: str) -> Delivery | None:
        """The delivery of a publication that is held, and that somebody will settle."""
        found = self._held.get(nonce)
        return None if found is None or found.receipt.forgotten else found

    def state_of(self, nonce: str) -> State:
        """What has become of a publication here: it is held, was settled, or is anybody's."""
        if self.of(nonce) is not None:
            return "mine"
        return "done" if nonce in self._lost or nonce in self._recent else "free"

    def take(self, delivery: Delivery) -> None:
        """It has come."""
        self._held[delivery.receipt.nonce] = delivery

    def hand_out(self, deliveries: list[Delivery]) -> list[Delivery]:
        """The worker gets them."""
        for delivery in deliveries:
            delivery.receipt.attempts += 1
        return deliveries

    def settled(self, delivery: Delivery) -> None:
        """It is no longer held; the server has been told."""
        self._end(delivery)
        self._recent.add(delivery.receipt.nonce)

    def settled_unknown(self, delivery: Delivery) -> None:
        """It is no longer held; the server does not know, and may deliver it again."""
        self._end(delivery)
        self._lost.add(delivery.receipt.nonce)

    def released(self, delivery: Delivery) -> None:
        """It is no longer held, and shall come again."""
        self._end(delivery)

    def lose(self, waiting: Iterable[Delivery]) -> None:
        """The connection broke. What nobody has received comes anew; the rest is ours again if it comes to us."""
        for delivery in waiting:
            self._drop(delivery)
        for delivery in self._held.values():
            delivery.receipt.channel = None
        self._lost.take(self._recent)  # the server may not have carried out what it has read

    def all(self) -> Sequence[Delivery]:
        """What is held, on whichever connection."""
        return list(self._held.values())

    def _end(self, delivery: Delivery) -> None:
        delivery.receipt.settled = True
        self._drop(delivery)

    def _drop(self, delivery: Delivery) -> None:
        nonce = delivery.receipt.nonce
        if self._held.get(nonce) is delivery:
            del self._held[nonce]
