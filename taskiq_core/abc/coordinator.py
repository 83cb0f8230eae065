"""The few atomic operations on which limits, uniqueness, joins and schedule claims stand."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """`owner` wants `key` for `ttl` seconds."""

    key: str
    owner: str
    ttl: float


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """`holder` wants one of `limit` slots of `key` for `ttl` seconds; asking again renews."""

    key: str
    holder: str
    limit: int
    ttl: float


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Somebody wants `tokens` from the bucket `key`, which holds `burst` and gains `rate` per second."""

    key: str
    rate: float
    burst: float
    tokens: float = 1.0


class Coordinator(ABC):
    """Shared state with atomic steps; every operation takes a batch and costs one round trip.

    Time is the store's, so that workers' clocks do not matter. Keys are free text; whatever has expired leaves nothing
    behind in the end. Each item of a batch is decided in order, as if it came alone.
    """

    cross_process: bool = True
    """False where the state is known in one process only."""

    @abstractmethod
    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        """True for each key that its owner now holds: it was free, or had expired, or was already theirs (then renewed)."""

    @abstractmethod
    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        """Give up (key, owner) pairs; one that is not the owner's stays."""

    @abstractmethod
    async def acquire_slots(self, requests: Sequence[SlotRequest]) -> list[bool]:
        """True for each holder that now has a slot. A dead holder's slot is free again after its ttl."""

    @abstractmethod
    async def release_slots(self, slots: Sequence[tuple[str, str]]) -> None:
        """Give up (key, holder) pairs."""

    @abstractmethod
    async def take_tokens(self, requests: Sequence[TokenRequest]) -> list[float]:
        """0.0 for each request that got its tokens, else the seconds until it could; nothing is taken then."""

    @abstractmethod
    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        """Add to counters (made at 0) and return their new values; each lives `ttl` seconds after its last `add`.

        Adding 0 reads a counter and renews it.
        """

    @abstractmethod
    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        """Note that members have arrived at a join; True exactly once: to the call that completes `expected` members.

        A member that arrives twice counts once, so a step may be repeated after a crash.
        """

    @abstractmethod
    async def forget(self, keys: Sequence[str]) -> None:
        """Drop everything under these keys, of whatever kind."""
