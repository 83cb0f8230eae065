"""How many deliveries the worker may hold, and which it holds."""

from collections.abc import Collection, Iterable

import anyio

from taskiq_core import clock
from taskiq_core.delivery import Delivery

_HORIZON = 0.05
"""Seconds of work that may wait in the inbox: more would keep it from idle workers."""
_MOST = 2000
"""Messages that are received at once, or wait in the inbox."""
_PARTS = 3
"""Of the prefetch: one is being received, one run and one settled at the same time, where a single one would take turns."""


class Credit:
    """Counts what is held and not settled; memory is bounded by it, whatever the backlog.

    The limit is the slots plus a prefetch: a fixed one, or as many tasks as have lately been settled in 50 ms, so that short
    tasks arrive in large batches and long ones are never hoarded.
    """

    def __init__(self, slots: int, prefetch: int | None) -> None:
        self._slots = slots
        self._fixed = prefetch
        self._aside = 0
        self._rate = 0.0
        self._settled = 0
        self._since = clock.monotonic()
        self._freed = anyio.Event()
        self.held: set[Delivery] = set()
        self.settling: set[Delivery] = set()
        """Those of `held` whose verdict is on its way: the broker may have let go of them already."""
        self.acked: set[Delivery] = set()
        """Those of `held` that were acknowledged before their end: they have no lease any more."""

    @property
    def free(self) -> int:
        """How many more may be held now."""
        return self._slots + self._prefetch + self._aside - len(self.held)

    @property
    def _prefetch(self) -> int:
        return min(_MOST, int(self._rate * _HORIZON)) if self._fixed is None else self._fixed

    async def wait(self) -> int:
        """Wait until at least one may be received; returns how many, at once."""
        while (free := self.free) < 1:
            await self.changed()
        return min(free, max(self._slots, self._prefetch // _PARTS), _MOST)

    async def changed(self) -> None:
        """Return when something was settled, or set aside."""
        self._freed = anyio.Event()
        await self._freed.wait()

    def slow_down(self) -> None:
        """Tasks have become long: prefetch nothing until they are short again."""
        self._rate = 0.0

    @property
    def adapts(self) -> bool:
        """Whether the prefetch follows the work."""
        return self._fixed is None

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """These are held now."""
        self.held.update(deliveries)

    def set_aside(self, count: int) -> None:
        """So many more of those that are held, or fewer, take no credit."""
        self._aside += count
        self._freed.set()

    def give_back(self, deliveries: Collection[Delivery]) -> None:
        """These are settled, or given up."""
        self.held.difference_update(deliveries)
        self.settling.difference_update(deliveries)
        self.acked.difference_update(deliveries)
        self._settled += len(deliveries)
        elapsed = clock.monotonic() - self._since
        if elapsed > _HORIZON:
            self._rate = 0.5 * self._rate + 0.5 * self._settled / elapsed
            self._settled, self._since = 0, self._since + elapsed
        self._freed.set()
