"""Deliveries that wait for a slot."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import anyio

from taskiq_core.delivery import Delivery
from taskiq_core.worker.meeting import Gathered


class Inbox:
    """A deque with chained wake-ups.

    Adding wakes one sleeping slot, however many deliveries were added: a slot whose task suspends calls `wake` for the
    next. So a batch of tasks that never suspend costs one wake-up, not one each.
    """

    def __init__(self) -> None:
        self._items: deque[Delivery] = deque()
        self.gathered: deque[Gathered] = deque()
        """Batches, which are taken before the others."""
        self._sleepers: deque[anyio.Event] = deque()
        self._closed = False
        self._filled = anyio.Event()

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> Delivery | None:
        """The one to be taken next."""
        return self._items[0] if self._items else None

    def put(self, deliveries: Iterable[Delivery]) -> None:
        """Add to the end."""
        self._items.extend(deliveries)
        self._filled.set()
        self.wake()

    def put_first(self, deliveries: Sequence[Delivery]) -> None:
        """Add before all others."""
        self._items.extendleft(reversed(deliveries))
        self._filled.set()
        self.wake()

    def put_gathered(self, gathered: Gathered) -> None:
        """Add a batch."""
        self.gathered.append(gathered)
        self.wake()

    def take_gathered(self) -> list[Gathered]:
        """All batches that wait."""
        batches = list(self.gathered)
        self.gathered.clear()
        return batches

    async def wait_filled(self) -> None:
        """Return when something waits to be taken."""
        while not self._items:
            self._filled = anyio.Event()
            await self._filled.wait()

    def wake(self) -> None:
        """Wake one sleeper if there is something to take."""
        if (self._items or self.gathered) and self._sleepers:
            self._sleepers.popleft().set()

    def close(self) -> list[Delivery]:
        """Let nobody take any more; returns what is left."""
        self._closed = True
        while self._sleepers:
            self._sleepers.popleft().set()
        return self.take_all()

    def take_all(self) -> list[Delivery]:
        """Everything that waits."""
        items = list(self._items)
        self._items.clear()
        return items

    def remove(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Take out those of these that still wait; returns them."""
        unwanted = set(deliveries)
        gone = [delivery for delivery in self._items if delivery in unwanted]
        for delivery in gone:
            self._items.remove(delivery)
        return gone

    def __iter__(self) -> Iterator[Delivery]:
        return iter(self._items)

    async def take(self) -> Delivery | Gathered | None:
        """The next batch or delivery; None once the inbox is closed. Cancelling takes nothing."""
        while not self._items and not self.gathered:
            if self._closed:
                return None
            event = anyio.Event()
            self._sleepers.append(event)
            try:
                await event.wait()
            except BaseException:
                if event.is_set():
                    self.wake()  # the wake-up was meant for whoever is awake
                else:
                    self._sleepers.remove(event)
                raise
        return self.gathered.popleft() if self.gathered else self._items.popleft()
