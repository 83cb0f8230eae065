"""Messages that came a moment before the time that a rate limit gave them: kept for that moment."""

import heapq
import itertools
from collections.abc import Iterable, Iterator

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core.worker.credit import Credit
from taskiq_core.worker.inbox import Inbox
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending

LEAD = 0.1
"""Seconds before their time when messages are asked back from the broker, which may take so long."""
_LONGEST = 0.25
"""Seconds that one is kept at most."""
_MOST = 500
"""Messages that are kept at most."""


class Early:
    """A room of the worker. What it keeps holds no slot and takes no credit; in time it is the first in the inbox."""

    def __init__(self, inbox: Inbox, credit: Credit) -> None:
        self._inbox = inbox
        self._credit = credit
        self._kept: list[tuple[float, int, Delivery]] = []
        self._order = itertools.count()
        self._news = anyio.Event()
        self._closed = False

    def keeps(self, parked: Outcome) -> bool:
        """Whether it is kept here; else it has to be parked."""
        soon = parked.ending is Ending.PARKED and parked.delay is not None and parked.delay <= _LONGEST
        if not soon or parked.body is None or self._closed or len(self._kept) >= _MOST:
            return False
        parked.delivery.body = parked.body  # with what it is to say when it asks again
        heapq.heappush(self._kept, (anyio.current_time() + (parked.delay or 0.0), next(self._order), parked.delivery))
        self._credit.set_aside(1)
        self._news.set()
        return True

    def __iter__(self) -> Iterator[Delivery]:
        return (delivery for _, _, delivery in self._kept)

    def remove(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Take out those of these that are still kept; returns them."""
        unwanted = set(deliveries)
        gone = [delivery for delivery in self if delivery in unwanted]
        if gone:
            self._kept = [item for item in self._kept if item[2] not in unwanted]
            heapq.heapify(self._kept)
            self._credit.set_aside(-len(gone))
        return gone

    def close(self) -> list[Delivery]:
        """Keep no more; returns what is left."""
        self._closed = True
        return self._let_go(len(self._kept))

    async def run(self) -> None:
        """Hand over what is due, until cancelled."""
        while True:
            now = anyio.current_time()
            due = self._let_go(sum(time <= now for time, _, _ in self._kept))
            if due:
                self._inbox.put_first(due)
            with anyio.CancelScope(deadline=self._kept[0][0] if self._kept else float("inf")):
                await self._news.wait()
            self._news = anyio.Event()

    def _let_go(self, count: int) -> list[Delivery]:
        self._credit.set_aside(-count)
        return [heapq.heappop(self._kept)[2] for _ in range(count)]
