"""The share of low priorities, so that a stream of high ones never starves them."""

from collections.abc import Callable

_SHARE = 16
"""One delivery of so many is not of the highest priority, if there are others."""
_ABOVE_ALL = 10


class LowShare:
    """Counts the deliveries of one store or subscription. Costs a look at other priorities once in a share."""

    def __init__(self) -> None:
        self._count = 0
        self._last = 0

    def owed(self, limit: int) -> int:
        """How many of the next `limit` deliveries are for a lower priority."""
        return min(limit, self._count // _SHARE)

    def delivered(self, count: int) -> None:
        """So many more have been delivered."""
        self._count += count

    def turn(self, highest_below: Callable[[int], int | None]) -> int | None:
        """Which priority the owed deliveries are for, None if all that is ready has the same.

        Lower priorities take turns. `highest_below` is asked for the highest one below another that has something ready.
        """
        self._count %= _SHARE
        highest = highest_below(_ABOVE_ALL)
        if highest is None:
            return None
        found = highest_below(min(self._last, highest))
        if found is None:
            found = highest_below(highest)
        self._last = 0 if found is None else found
        return found
