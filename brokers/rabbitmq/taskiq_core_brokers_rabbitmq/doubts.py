"""Messages that came back although their holder may live: only its connection broke, and it goes on with the work.

The server cannot know that, and gives what a lost connection held to anybody. So who has lost one tells all workers which
messages are still its, as soon as it is back and every second while they are; and which of them it has settled. A message that
comes back is kept here until nobody claims it, or its holder has settled it.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Literal

from taskiq_core.delivery import Delivery

CLAIM_EVERY = 1.0
"""Seconds between two claims of what is still held."""
_HEARD = 4.0
"""Seconds for which a claim counts."""
_DOUBT = 1.0
"""Seconds that the holder has to come back, at most; its messages start that much later when it is dead."""
_AFTER_OUTAGE = 3.0
"""The same after we have lost our own connection: then others have too, and have tried to come back for as long as we have."""

Says = Literal["mine", "done", "free"]


class Doubts:
    """Of one subscription, over all its connections.

    :param clear: gets what nobody claims.
    :param finish: gets what its holder has settled, and is only to be acknowledged.
    """

    def __init__(self, clear: Callable[[list[Delivery]], None], finish: Callable[[list[Delivery]], None]) -> None:
        self._clear = clear
        self._finish = finish
        self._kept: dict[str, tuple[Delivery, float]] = {}
        self._claimed: dict[str, float] = {}
        self._careful_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def outage(self) -> None:
        """We had no connection, and have one again."""
        self._careful_until = asyncio.get_running_loop().time() + _AFTER_OUTAGE

    def keep(self, delivery: Delivery) -> None:
        """A message has come back."""
        now = asyncio.get_running_loop().time()
        nonce = delivery.receipt.nonce
        self._kept[nonce] = delivery, max(now + _DOUBT, self._careful_until, self._claimed.get(nonce, 0.0))
        self._arm(now)

    def hear(self, what: Says, nonces: Iterable[str]) -> None:
        """A worker tells of messages that it had when it lost its connection."""
        now = asyncio.get_running_loop().time()
        self._claimed = {nonce: until for nonce, until in self._claimed.items() if until > now}
        done: list[Delivery] = []
        for nonce in nonces:
            if what == "mine":
                self._claimed[nonce] = now + _HEARD
                if nonce in self._kept:
                    self._kept[nonce] = self._kept[nonce][0], now + _HEARD
            else:
                self._claimed.pop(nonce, None)
                if what == "done" and nonce in self._kept:
                    done.append(self._kept.pop(nonce)[0])
                elif nonce in self._kept:
                    self._kept[nonce] = self._kept[nonce][0], now
        self._arm(now)
        if done:
            self._finish(done)

    def take_all(self) -> list[Delivery]:
        """All that is kept, to be given back or because the connection broke."""
        kept, self._kept = self._kept, {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return [delivery for delivery, _ in kept.values()]

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._kept:
            wait = min(until for _, until in self._kept.values()) - now
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer = None
        clear = [nonce for nonce, (_, until) in self._kept.items() if until <= now]
        freed = [self._kept.pop(nonce)[0] for nonce in clear]
        self._arm(now)
        if freed:
            self._clear(freed)
