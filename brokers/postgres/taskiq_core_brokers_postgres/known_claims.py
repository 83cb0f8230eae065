"""Up to which claim a consumer knows what it holds."""

from collections.abc import Sequence

from taskiq_core.delivery import Delivery

Mark = tuple[int, int | None]
"""The newest hold of which all is known, and how many claims had begun; None while one was under way."""


class KnownClaims:
    """Finds the answers that were lost: what the server says we hold, of a claim that is over, and nobody here has seen.

    Claims that bring something show what was lost before them. Between two claims nothing is under way, so that every number
    the server has given until then is of a claim that is over: an idle consumer finds what it lost by that.
    """

    def __init__(self) -> None:
        self._last_hold = 0
        self._begun = 0
        self._under_way = 0

    def begin(self) -> None:
        """A claim is sent."""
        self._begun += 1
        self._under_way += 1

    def end(self, taken: Sequence[Delivery] = ()) -> None:
        """It is over, and this is delivered before anything else happens; nothing where it failed or was given back."""
        self._under_way -= 1
        self._last_hold = max([self._last_hold, *(item.receipt.hold for item in taken)])

    def mark(self) -> Mark:
        """For `until`."""
        return self._last_hold, None if self._under_way else self._begun

    def until(self, mark: Mark, number: int) -> int:
        """The newest hold of which all was known at `mark`; `number` is one that the server gave since then."""
        last_hold, begun = mark
        return number if begun == self._begun else last_hold
