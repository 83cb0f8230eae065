"""Parked messages: one line for each text, whose first has a time to come back by itself."""

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from taskiq_core import clock
from taskiq_core.brokers.memory_entry import Entry


class ParkingLot:
    """All operations are immediate. What is taken out is in its line's order, and parked no more."""

    def __init__(self) -> None:
        self._lines: dict[str, OrderedDict[Entry, None]] = {}
        self._times: list[tuple[float, int, Entry, object]] = []
        """When who is first comes back; those stay in it who have gone before, until their time."""
        self._firsts: dict[str, object] = {}
        """What tells the times that hold from the others."""
        self._order = itertools.count()

    def __iter__(self) -> Iterator[Entry]:
        return itertools.chain.from_iterable(self._lines.values())

    def park(self, entry: Entry, text: str, delay: float) -> None:
        """To the end of a line."""
        entry.parked, entry.park_delay = text, delay
        line = self._lines.setdefault(text, OrderedDict())
        line[entry] = None
        if len(line) == 1:
            self._time_first(text)

    def take(self, counts: Mapping[str, int], served: Callable[[str], bool] = lambda queue: True) -> list[Entry]:
        """Up to so many of each line; those whose queue is not served only if there are not enough others."""
        called: list[Entry] = []
        for text, count in counts.items():
            line = self._lines.get(text, OrderedDict[Entry, None]())
            chosen = list(itertools.islice((entry for entry in line if served(entry.queue)), max(0, count)))
            if len(chosen) < count:
                known = set(chosen)
                chosen += itertools.islice((entry for entry in line if entry not in known), count - len(chosen))
            called += chosen
        return self.remove(called)

    def take_all(self, prefix: str) -> list[Entry]:
        """All lines whose text begins so."""
        return self.remove([entry for text, line in self._lines.items() if text.startswith(prefix) for entry in line])

    def take_due(self) -> list[Entry]:
        """Those whose time has come."""
        taken: list[Entry] = []
        while (due := self.next_time()) is not None and due <= clock.monotonic():
            taken += self.remove([self._times[0][2]])
        return taken

    def next_time(self) -> float | None:
        """When the next one comes back by itself (`clock.monotonic`)."""
        while self._times:
            due, _, entry, token = self._times[0]
            if entry.parked is not None and self._firsts.get(entry.parked) is token:
                return due
            heapq.heappop(self._times)
        return None

    def remove(self, entries: Iterable[Entry]) -> list[Entry]:
        """Take these out, of whatever lines; who is first then has its time from now."""
        gone = list(entries)
        texts: dict[str, None] = {}
        for entry in gone:
            assert entry.parked is not None
            line = self._lines[entry.parked]
            if next(iter(line)) is entry:
                texts[entry.parked] = None
            del line[entry]
            entry.parked = None
        for text in texts:
            self._time_first(text)
        return gone

    def _time_first(self, text: str) -> None:
        first = next(iter(self._lines[text]), None)
        if first is None:
            del self._lines[text], self._firsts[text]
            return
        token = self._firsts[text] = object()
        heapq.heappush(self._times, (clock.monotonic() + first.park_delay, next(self._order), first, token))
