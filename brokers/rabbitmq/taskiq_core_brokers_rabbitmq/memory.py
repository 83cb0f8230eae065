"""What was settled, for as long as the server may deliver it again."""

import time


class Memory:
    """Names that are remembered for `seconds` at least and twice that at most, `most` of them or somewhat more."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._new: set[str] = set()
        self._old: set[str] = set()
        self._since = time.monotonic()

    def add(self, name: str) -> None:
        """Remember it from now on."""
        now = time.monotonic()
        if now - self._since > self._seconds or len(self._new) >= self._most:
            self._old, self._new, self._since = self._new, set(), now
        self._new.add(name)

    def take(self, other: "Memory") -> None:
        """All that the other has, from it."""
        names, other._new, other._old = other._new | other._old, set(), set()
        for name in names:
            self.add(name)

    def __contains__(self, name: str) -> bool:
        return name in self._new or name in self._old
