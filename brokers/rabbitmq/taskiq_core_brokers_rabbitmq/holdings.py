"""What a subscription holds, over all its connections."""

from collections.abc import Iterable, Sequence

from taskiq_core.delivery import Delivery
from taskiq_core_brokers_rabbitmq.memory import Memory

_RECENT = 5.0
"""Seconds after which what is settled will not come again, while the server lives."""
_LOST = 3600.0
"""Seconds for what was settled without the server's knowing."""
_MOST = 100_000
_TELLINGS = 10
"""How often others are told that something is settled: they may come back later than we."""


class Holdings:
    """Deliveries by the publication they are of.

    After a connection broke the server delivers again what it had delivered: to us, what we still work at is merely ours again,
    and what we have settled meanwhile is acknowledged.
    """

    def __init__(self) -> None:
        self._held: dict[str, Delivery] = {}
        self._recent = Memory(_RECENT, _MOST)
        self._lost = Memory(_LOST, _MOST)
        self._released = Memory(_LOST, _MOST)
        self._untold: dict[str, int] = {}

    def of(self, nonce: str) -> Delivery | None:
        """The delivery of a publication that is held, and that somebody will settle."""
        found = self._held.get(nonce)
        return None if found is None or found.receipt.forgotten else found

    def take(self, delivery: Delivery) -> None:
        """It has come."""
        self._held[delivery.receipt.nonce] = delivery

    def hand_out(self, deliveries: list[Delivery]) -> list[Delivery]:
        """The worker gets them."""
        for delivery in deliveries:
            delivery.receipt.attempts += 1
        return deliveries

    def is_settled(self, nonce: str) -> bool:
        """Whether a publication was settled here before."""
        return nonce in self._lost or nonce in self._recent

    def is_released(self, nonce: str) -> bool:
        """Whether we gave a publication back that no connection held."""
        return nonce in self._released

    def settled(self, delivery: Delivery) -> None:
        """It is no longer held; the server knows."""
        receipt = delivery.receipt
        receipt.settled = True
        self._recent.add(receipt.nonce)
        self._drop(delivery)

    def settled_unknown(self, delivery: Delivery) -> None:
        """It is no longer held; the server does not know, and may deliver it again."""
        delivery.receipt.settled = True
        self._lost.add(delivery.receipt.nonce)
        self._untold[delivery.receipt.nonce] = _TELLINGS
        self._drop(delivery)

    def released(self, delivery: Delivery) -> None:
        """It is no longer held, and shall come again."""
        delivery.receipt.settled = True
        self._released.add(delivery.receipt.nonce)
        self._drop(delivery)

    def lose(self, waiting: Iterable[Delivery]) -> None:
        """The connection broke. What nobody has received comes anew; the rest is ours again if it comes to us."""
        for delivery in waiting:
            self._drop(delivery)
        for delivery in self._held.values():
            delivery.receipt.channel = None
        self._untold = dict.fromkeys(self._untold, _TELLINGS)  # others may not have heard it, for the same reason

    def orphans(self) -> list[str]:
        """What is held by no connection: whoever gets it next is to leave it to us."""
        return [nonce for nonce, held in self._held.items() if held.receipt.channel is None and not held.receipt.forgotten]

    def to_tell(self) -> list[str]:
        """What was settled without the server's knowing."""
        return list(self._untold)

    def told(self, nonces: Iterable[str]) -> None:
        """Others have been told that these are settled; that is done several times."""
        for nonce in nonces:
            left = self._untold.pop(nonce, 1) - 1
            if left:
                self._untold[nonce] = left

    def all(self) -> Sequence[Delivery]:
        """What is held, on whichever connection."""
        return list(self._held.values())

    def _drop(self, delivery: Delivery) -> None:
        nonce = delivery.receipt.nonce
        if self._held.get(nonce) is delivery:
            del self._held[nonce]
