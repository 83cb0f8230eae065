"""Messages that are ready: a line for each priority of each queue."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator

from taskiq_core.brokers.memory_entry import Entry

_LEVELS = 10


class ReadyLines:
    """All operations are immediate."""

    def __init__(self) -> None:
        self._levels: dict[str, list[deque[Entry]]] = {}

    def __iter__(self) -> Iterator[str]:
        """The queues that have been used."""
        return iter(self._levels)

    def of(self, queue: str) -> list[Entry]:
        """What is ready in a queue, the highest priority first."""
        return [entry for level in reversed(self._levels.get(queue, ())) for entry in level]

    def add(self, entry: Entry, *, first: bool) -> None:
        """To the end of its line, or to its beginning."""
        levels = self._levels.get(entry.queue)
        if levels is None:
            levels = self._levels[entry.queue] = [deque() for _ in range(_LEVELS)]
        if first:
            levels[entry.priority].appendleft(entry)
        else:
            levels[entry.priority].append(entry)

    def pop(self, queues: Iterable[str], level: int, entries: list[Entry], limit: int) -> None:
        """Fill up `entries` with those of that priority."""
        for queue in queues:
            levels = self._levels.get(queue)
            if levels is not None:
                ready = levels[level]
                while ready and len(entries) < limit:
                    entries.append(ready.popleft())

    def highest_below(self, queues: Iterable[str], level: int) -> int | None:
        """The highest priority below that one which has any."""
        known = [self._levels[queue] for queue in queues if queue in self._levels]
        return next((item for item in range(level - 1, -1, -1) if any(levels[item] for levels in known)), None)

    def remove(self, entries: Iterable[Entry], gone: Collection[Entry]) -> None:
        """Take out whatever is in `gone`, from each line in which one of `entries` stands."""
        for queue, priority in {(entry.queue, entry.priority) for entry in entries}:
            levels = self._levels[queue]
            levels[priority] = deque(entry for entry in levels[priority] if entry not in gone)

    def any(self, queue: str) -> bool:
        """Whether anything is ready in a queue."""
        return any(self._levels[queue])
