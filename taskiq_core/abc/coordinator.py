"""The few atomic operations on which limits, uniqueness, joins and schedule claims stand."""

import math
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
class SlotLimit:
    """At most `limit` holders of `key` at once; with 0, nobody.

    Where the value of `setting` is the text of a whole number, it is that many instead, from the next call on: so limits
    change at run time. A value that is no such text is as good as none.
    """

    key: str
    limit: int
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `limit` starts, 1 or more, under `key` in any `window` seconds.

    Who has to wait is given a time: as if `limit` could start in every `pace` seconds, a little more than the window, so that
    whoever comes at its time finds the window open. Those times are spread over the pace, or over a second of it.

    Where the value of `setting` is the text of three numbers, they are limit, window and pace instead, from the next call on:
    a whole number from 1 on, and seconds, of which the pace has no fewer than the window. A value that is no such text is as
    good as none. When the value has changed, times are given anew, as if nobody waited. Starts are forgotten when they leave
    the window, so one that grows has forgotten what was before the old one.
    """

    key: str
    limit: int
    window: float
    pace: float
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """`holder` wants to start: with a slot of each of `slots`, for `ttl` seconds, and within all `rates`; no key twice.

    `booked` says that it was given a time by an earlier answer, and that this has come. `patience` is for how many seconds it
    can wait for the rates.
    """

    holder: str
    ttl: float
    slots: Sequence[SlotLimit] = ()
    rates: Sequence[RateLimit] = ()
    booked: bool = False
    patience: float = math.inf


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer: granted; or the key of the slots that are `full`; or a time was given, after `wait` seconds.

    Where these are more than the holder's patience, no time was given.
    """

    full: str | None = None
    wait: float = 0.0

    @property
    def granted(self) -> bool:
        """Whether it may start now."""
        return self.full is None and self.wait <= 0


class ClaimStore(ABC):
    """Claims and counters: all that schedulers need of a coordinator, for stores that cannot be a whole one.

    Every operation takes a batch and costs one round trip, or a few where others claim the same at the same time. Claims and
    counters are things of their own: one key may name one of each.

    Time is the store's, so that workers' clocks do not matter. Keys are free text; whatever has expired leaves nothing
    behind in the end. Each item of a batch is decided in order, as if it came alone.
    """

    cross_process: bool = True
    """False where the state is known in one process only."""

    @abstractmethod
    async def claim(self, claims: Sequence[Claim]) -> list[bool]:
        """True for each key that its owner now holds: it was free, or had expired, or was already theirs (then renewed)."""

    @abstractmethod
    async def holders(self, keys: Sequence[str]) -> dict[str, str]:
        """Who holds the keys that somebody has claimed."""

    @abstractmethod
    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        """Give up (key, owner) pairs; one that is not the owner's stays."""

    @abstractmethod
    async def add(self, amounts: Mapping[str, int], ttl: float) -> dict[str, int]:
        """Add to counters (made at 0) and return their new values; each lives `ttl` seconds after its last `add`.

        Adding 0 reads a counter and renews it.
        """

    @abstractmethod
    async def forget(self, keys: Sequence[str]) -> None:
        """Drop everything under these keys, of whatever kind."""


class Coordinator(ClaimStore):
    """Shared state with atomic steps; every operation takes a batch and costs one round trip.

    Slots, starts, joins and values are, as claims and counters, things of their own. Starts and times given leave nothing
    behind in the end either.
    """

    @abstractmethod
    async def admit(self, requests: Sequence[AdmissionRequest]) -> list[Admission]:
        """Let start who may: each takes all that it asked for, or nothing.

        A holder that has its slots keeps them, also where the limit is lower now, and they live `ttl` seconds from now: so
        slots are renewed, by a request with no rates. Slots of holders that did not renew are free again. Who finds slots
        full takes nothing and is given no time.

        Who finds slots but has to wait for a rate is given a time, behind all that were given before, and takes nothing else.
        It comes back then and says that it is `booked`, and starts if the windows are open. If they will be within
        one `pace`, as those before it came late, it is told to come again then; each who waits so has an opening of
        its own. Else it is given a new time, behind the others. Of several rates, that which makes it wait the longest gives
        the time. Who has not the patience for the time that it would be given is told how long it is, and takes none: so those
        behind do not wait for one who will not come.
        """

    @abstractmethod
    async def leave(self, places: Sequence[tuple[str, SlotLimit]]) -> list[int]:
        """Give up the slots of (holder, limit) pairs; how many of each limit are free when all have left, 0 at least.

        Who has no slot gives up none, and gets the answer.
        """

    @abstractmethod
    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those values that were put and have not expired."""

    @abstractmethod
    async def put(self, entries: Mapping[str, bytes | None], ttl: float | None = None) -> None:
        """Set values for `ttl` seconds, or for ever, all in one step; None deletes."""

    @abstractmethod
    async def arrive(self, key: str, members: Sequence[str], expected: int, ttl: float) -> bool:
        """Note that members have arrived at a join; True exactly once: to the call that completes `expected` members.

        A member that arrives twice counts once, so a step may be repeated after a crash.
        """
