"""What a reader asks next; knows nothing of connections.

A claim is a script that does what is due, and delivers without waiting. Where it finds nothing it says what to wait for, and a
blocking read waits and delivers at once. Where it finds more than it takes, and there is no choice between priorities or
queues, a plain read takes the rest: scripts are slow at passing large bodies on.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

_SHORTEST_WAIT = 0.001
_LONGEST_WAIT = 0.8
"""Seconds without a claim: within them a pause is noticed, and a nudge that went to the dead made up for."""
_MOST = 1000
"""Deliveries of one question, so that no script keeps the server for long."""
_LOW_SHARE = 16
"""One delivery of so many is not of the highest priority, so that the others never starve."""
_NO_CHOICE = 2
"""Streams of one queue with one priority: what was delivered before, and the others."""
_BY_CLAIM = 100
"""Deliveries of a claim where the rest can be read on."""
_READ_ON = 0.1
"""Seconds that one stream is read on before others are looked at again."""


class Kind(Enum):
    """Ways to ask."""

    CLAIM = 1
    READ_ON = 2
    WAIT = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask the server."""

    kind: Kind
    count: int
    """Deliveries at most; of a read that waits: of each stream."""
    streams: Sequence[bytes] = ()
    seconds: float = 0.0
    """How long to wait."""
    from_below: int = 0
    """How many deliveries of a claim are not to be of the highest priority."""


class Plan:
    """Decides by the answers so far.

    :param lease: seconds; waiting ends while most of it is left, for what is delivered last.
    """

    def __init__(self, lease: float) -> None:
        self._longest_wait = min(_LONGEST_WAIT, lease / 3)
        self.claims = 0
        """How many there have been; queues take turns by it."""
        self.shares = 0
        """How many of them took from below; priorities take turns by it."""
        self._owed_below = 0
        self._choice = True
        self._backlog: bytes | None = None
        self._backlog_until = 0.0
        self._wait_for: Sequence[bytes] = ()
        self._wait_until = 0.0

    def claim_next(self) -> None:
        """Ask nothing else before the next claim: something has changed."""
        self._backlog, self._wait_until = None, 0.0

    def next(self, limit: int) -> Question:
        """What to ask, for up to `limit` deliveries."""
        now, limit = time.monotonic(), min(limit, _MOST)
        if self._backlog is not None and now < self._backlog_until:
            return Question(Kind.READ_ON, limit, [self._backlog])
        left = self._wait_until - now
        if left >= _SHORTEST_WAIT:
            return Question(Kind.WAIT, max(1, limit // len(self._wait_for)), self._wait_for, left)
        return self._claim(limit if self._choice else min(limit, _BY_CLAIM))

    def _claim(self, limit: int) -> Question:
        from_below, self._owed_below = divmod(self._owed_below + limit, _LOW_SHARE)
        self.claims += 1
        self.shares += from_below > 0
        return Question(Kind.CLAIM, limit, from_below=from_below)

    def learn(self, question: Question, reply: Any) -> Sequence[Any] | None:
        """What was found, stream by stream; None where the consumer's lease has ended."""
        if question.kind is Kind.CLAIM:
            return self._learn_from_claim(question, reply)
        found: Sequence[Any] = list(reply.items()) if reply else []
        full = any(len(entries) == question.count for _, entries in found)
        if question.kind is Kind.WAIT and (full or not found):
            self._wait_until = 0.0
        if question.kind is Kind.READ_ON and not full:
            self._backlog = None
        return found

    def _learn_from_claim(self, question: Question, reply: Any) -> Sequence[Any] | None:
        self.claim_next()
        if reply is None:
            return None
        wait_ms, streams, found, existing = cast("tuple[int, Sequence[bytes], Sequence[Any], int]", reply)
        now = time.monotonic()
        self._choice = existing > _NO_CHOICE
        if not self._choice and len(found) == 1 and len(found[0][1]) == question.count:
            self._backlog, self._backlog_until = found[0][0], now + _READ_ON
        if streams:
            self._wait_for, self._wait_until = streams, now + min(wait_ms / 1000, self._longest_wait)
        return found
