"""Dead letters in memory."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from taskiq_core import clock
from taskiq_core.brokers.memory_entry import Entry
from taskiq_core.defaults import DEFAULT_PRIORITY
from taskiq_core.delivery import DeadLetter, Settlement


@dataclass(slots=True)
class BuriedMessage(DeadLetter):
    """A dead letter, and what it needs to rise as it was."""

    priority: int = DEFAULT_PRIORITY


class DeadLetters:
    """Letters are numbered as they die. Those older than `ttl` seconds (None: none) are dropped whenever somebody looks."""

    def __init__(self, ttl: float | None = None) -> None:
        self._ttl = ttl
        self._letters: dict[int, BuriedMessage] = {}
        self._numbers = itertools.count(1)

    def add(self, entry: Entry, settlement: Settlement) -> None:
        """Keep a message that has been rejected."""
        self._expire()
        number = next(self._numbers)
        self._letters[number] = BuriedMessage(
            id=str(number),
            body=entry.body if settlement.body is None else settlement.body,
            queue=entry.queue,
            reason=settlement.reason or "rejected",
            died_at=clock.time(),
            attempts=entry.attempt,
            task_id=entry.task_id,
            detail=settlement.detail,
            priority=entry.priority,
        )

    def page(self, queue: str | None, limit: int, before: str | None) -> list[DeadLetter]:
        """Newest first, of those that died before the letter with that id."""
        self._expire()
        end = math.inf if before is None else _number(before)
        wanted = (
            letter
            for number, letter in reversed(self._letters.items())
            if number < end and (queue is None or letter.queue == queue)
        )
        return list(itertools.islice(wanted, limit))

    def find(self, ids: Sequence[str]) -> list[BuriedMessage]:
        """Those there are, in this order."""
        self._expire()
        return [letter for item in ids if (letter := self._letters.get(_number(item))) is not None]

    def take(self, ids: Sequence[str]) -> list[BuriedMessage]:
        """Find and delete."""
        found = self.find(list(dict.fromkeys(ids)))
        for letter in found:
            del self._letters[int(letter.id)]
        return found

    def purge(self, ids: Sequence[str] | None = None, older_than: float | None = None) -> int:
        """Delete; returns how many."""
        limit = math.inf if older_than is None else clock.time() - older_than
        letters = list(self._letters.values()) if ids is None else self.find(ids)
        return len(self.take([letter.id for letter in letters if letter.died_at < limit]))

    def _expire(self) -> None:
        if self._ttl is None:
            return
        limit = clock.time() - self._ttl
        old = list(itertools.takewhile(lambda item: item[1].died_at < limit, self._letters.items()))
        for number, _ in old:
            del self._letters[number]


def _number(letter_id: str) -> int:
    return int(letter_id) if letter_id.isdecimal() else 0
