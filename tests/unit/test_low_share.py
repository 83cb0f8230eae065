"""The share of low priorities."""

from collections import Counter
from collections.abc import Callable

import pytest

from taskiq_core.low_share import LowShare


def deliver(share: LowShare, ready: set[int], limit: int) -> Counter[int]:
    """What one take of `limit` gives, where there is always more of each."""
    taken: Counter[int] = Counter()
    owed = share.owed(limit)
    if owed and (low := share.turn(_highest_below(ready))) is not None:
        taken[low] += owed
    taken[max(ready)] += limit - sum(taken.values())
    share.delivered(limit)
    return taken


def _highest_below(ready: set[int]) -> Callable[[int], int | None]:
    return lambda priority: max((item for item in ready if item < priority), default=None)


@pytest.mark.parametrize("limit", [1, 10, 100])
def test_one_of_sixteen_goes_to_the_lower_in_turns(limit: int) -> None:
    share, taken = LowShare(), Counter[int]()
    while taken.total() < 4800:
        taken += deliver(share, {0, 3, 5, 9}, limit)
    assert taken[9] == pytest.approx(4500, abs=limit)
    assert [taken[low] for low in (0, 3, 5)] == pytest.approx([100, 100, 100], abs=limit)


def test_what_is_alone_gets_all() -> None:
    share = LowShare()
    assert sum((deliver(share, {5}, 10) for _ in range(100)), Counter[int]()) == {5: 1000}


def test_nothing_ready_owes_nothing() -> None:
    share = LowShare()
    share.delivered(20)
    assert (share.owed(5), share.turn(_highest_below(set())), share.owed(5)) == (1, None, 0)
