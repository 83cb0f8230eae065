"""The decision on one request to start; stores differ in where they keep what it is made of."""

from typing import Protocol

from taskiq_core.abc.coordinator import Admission, AdmissionRequest, RateLimit
from taskiq_core.stores.limit_settings import slots_of
from taskiq_core.stores.starts import Book, wait_for


class Ledger(Protocol):
    """Slots, rates and settings at one moment."""

    now: float
    """Seconds of the store's clock."""

    def setting(self, name: str | None) -> bytes | None:
        """The value that was put under the name."""
        ...

    def holds(self, key: str, holder: str) -> bool:
        """Whether the holder has a slot."""
        ...

    def free(self, key: str, limit: int) -> int:
        """How many of so many slots are free; less than 0 where more are taken."""
        ...

    def occupy(self, key: str, holder: str, ttl: float) -> None:
        """Take a slot or renew it."""
        ...

    def book(self, rate: RateLimit) -> Book:
        """What is known of a rate."""
        ...


def decide(ledger: Ledger, request: AdmissionRequest) -> Admission:
    """Take all that is asked for, or nothing."""
    for place in request.slots:
        is_new = not ledger.holds(place.key, request.holder)
        if is_new and ledger.free(place.key, slots_of(place, ledger.setting(place.setting))) < 1:
            return Admission(full=place.key)
    books = [ledger.book(rate) for rate in request.rates]
    wait = wait_for(books, ledger.now, booked=request.booked, patience=request.patience)
    if wait > 0:
        return Admission(wait=wait)
    for place in request.slots:
        ledger.occupy(place.key, request.holder, request.ttl)
    return Admission()
