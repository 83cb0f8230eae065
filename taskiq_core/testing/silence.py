"""What may still bring news from outside, and what has been silent for too long."""

from collections.abc import Hashable, Set


class Silence:
    """Sources of news (sockets, pipes, child processes) of one event loop. Those that are silent for `patience` real seconds
    are idle, until something is heard of them.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._idle: set[Hashable] = set()
        self._lasts = 0.0

    def heard(self, source: Hashable) -> None:
        """There was news from it, or it was asked for some, or it is another one now."""
        self._idle.discard(source)
        self._lasts = 0.0

    def broken(self) -> None:
        """There was news, and it is not known from whom."""
        self._idle.clear()
        self._lasts = 0.0

    def left(self, sources: Set[Hashable]) -> float:
        """Real seconds to wait for news of these."""
        self._idle &= sources
        return self._patience - self._lasts if sources - self._idle else 0.0

    def lasted(self, sources: Set[Hashable], seconds: float) -> None:
        """These have been waited for so long, without news."""
        self._lasts += seconds
        if self._lasts >= self._patience:
            self._idle = set(sources)
            self._lasts = 0.0
