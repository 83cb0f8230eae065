"""One delivery of a message and what became of it."""

import enum
from dataclasses import dataclass, field
from typing import Any


class Verdict(enum.Enum):
    """The end of a delivery. Every delivery gets exactly one."""

    ACK = "ack"
    """Done: remove it."""
    REJECT = "reject"
    """Move it to the dead letters, with the reason."""
    RELEASE = "release"
    """Give it back, to be delivered as before; after `delay` seconds if one is given. Says nothing against the task."""
    RETRY = "retry"
    """Deliver it again after `delay` seconds, with `body` in place of the old one."""


@dataclass(slots=True, eq=False)
class Delivery:
    """A message in the hands of one subscription."""

    body: bytes
    receipt: Any = None
    """The broker's own handle on it; opaque to everyone else."""
    attempt: int | None = None
    """How often it has been delivered, this time included; None where the broker does not count."""
    queue: str | None = None
    deaths: int = 0
    """How many holders of it died or lost their lease."""
    accused: bool = False
    """True if it was running when its process died (see `Subscription.bury`): it must run alone."""


@dataclass(slots=True)
class StoredResult:
    """A result on its way into a backend.

    `body` is what `AsyncResultBackend.dump` made of the result; `ttl` is in seconds, None for the backend's default.
    `result` is the object itself, for backends that serialise by themselves.
    """

    task_id: str
    body: bytes
    ttl: float | None = None
    result: Any = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Settlement:
    """A verdict on its way to the broker."""

    delivery: Delivery
    verdict: Verdict
    delay: float | None = None
    """Seconds; for RELEASE and RETRY."""
    reason: str | None = None
    """For REJECT: one line that an operator reads. Brokers keep `REASON_BYTES` of it, and may cut the rest off."""
    body: bytes | None = None
    """For RETRY, RELEASE and REJECT: the message as it shall come back or be kept; None leaves it as it is."""
    result: StoredResult | None = None
    """To be stored in the same step; only where `Subscription.stores_results_of` said yes."""
    park: str | None = None
    """For RELEASE with a `delay`, on brokers with `Capability.PARK`: what the message waits for.

    It stands at the end of the line of those that wait for the same, and comes back when `Subscription.unpark` is called with
    this text and its turn has come; while nobody could take it, others are called before it. Who is first in a line comes back
    by itself, `delay` after it became the first: one at a time comes, should a call have been lost.
    """
    detail: bytes | None = None
    """For REJECT: what is to be kept beside the reason; for `DeadLetter.detail`.

    Brokers keep `DETAIL_BYTES` of it, and may cut the rest off; however long it is, they carry the verdict out. Where a body is
    so large that there is no room beside it, they may cut more.
    """


@dataclass(slots=True)
class DeadLetter:
    """A message that no worker will get again unless somebody requeues it."""

    id: str
    body: bytes
    queue: str
    reason: str
    died_at: float
    """Seconds since the epoch."""
    attempts: int = 0
    """How often it was delivered."""
    task_id: str = ""
    """Empty where the broker does not know it."""
    detail: bytes | None = None
    """`Settlement.detail`."""
