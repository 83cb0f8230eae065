"""A dict whose entries end."""

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic

from typing_extensions import TypeVar

from taskiq_core import clock

K = TypeVar("K")
V = TypeVar("V")

_FEW = 64
"""Writes that are not worth a sweep."""


class ExpiringDict(Generic[K, V]):
    """Values by key, each until its own deadline (`clock.monotonic()` seconds; `math.inf` for no end).

    At most `max_size` entries: beyond it the one that was first put in goes out. Expired entries are swept after as
    many writes as the last sweep left entries, so that a write costs constant time on average and nothing stays for long.
    """

    def __init__(self, max_size: float = math.inf) -> None:
        # Not a dict: finding the oldest entry of one walks over all that were deleted before it.
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._max_size = max_size
        self._writes_until_sweep = _FEW

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        entry = self._entries.get(key)
        return entry is not None and entry[1] > clock.monotonic()

    def get(self, key: K) -> V | None:
        """The value, or None where there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= clock.monotonic():
            del self._entries[key]
            return None
        return entry[0]

    def put(self, key: K, value: V, deadline: float = math.inf) -> None:
        """Set or replace; a replaced entry counts as put in last."""
        self._entries.pop(key, None)
        self._entries[key] = (value, deadline)
        self._writes_until_sweep -= 1
        if len(self._entries) > self._max_size:
            self._entries.popitem(last=False)
        if self._writes_until_sweep <= 0:
            self._sweep()

    def drop(self, key: K) -> None:
        """Remove; an unknown key is no error."""
        self._entries.pop(key, None)

    def items(self) -> Iterator[tuple[K, V]]:
        """What has not expired, oldest first."""
        now = clock.monotonic()
        return ((key, value) for key, (value, deadline) in list(self._entries.items()) if deadline > now)

    def _sweep(self) -> None:
        now = clock.monotonic()
        for key in [key for key, (_, deadline) in self._entries.items() if deadline <= now]:
            del self._entries[key]
        self._writes_until_sweep = len(self._entries) + _FEW


def deadline_of(ttl: float | None) -> float:
    """When something that lives `ttl` seconds from now ends; None is never."""
    return math.inf if ttl is None else clock.monotonic() + ttl
