"""Laws of rates: what is decided at one moment. Those that take their time stand in laws_pacing.py."""

import itertools

from taskiq_core.abc.coordinator import Coordinator, RateLimit
from taskiq_core.testing.coordinator_tools import LONG, CoordinatorSuite, start, waits
from taskiq_core.testing.suite import law

SLACK = 5.0
"""Seconds that a law may take between two calls."""
SPREAD = 1.0
"""Seconds over which those who may start in one window are called."""
ONE, THREE = RateLimit("k", 1, LONG, LONG + 1), RateLimit("k", 3, LONG, LONG + 1)


def near(wait: float, expected: float) -> bool:
    """Whether it is as far away as it was, or less by the time that has passed since; times are spread a little."""
    return expected - SLACK < wait <= expected + SPREAD + 0.01


class RateLaws(CoordinatorSuite):
    """For coordinators that admit to rates."""

    @law()
    async def test_who_is_within_the_rate_starts_and_others_are_given_times(self, coordinator: Coordinator) -> None:
        """The first `limit` start at once; then times are given in order, and no more than `limit` in every `pace`."""
        found = await waits(coordinator, *[start(THREE)] * 5) + await waits(coordinator, *[start(THREE)] * 5)
        assert found[:3] == [0.0, 0.0, 0.0]
        paces = [1] * 3 + [2] * 3 + [3]
        assert all(near(wait, count * THREE.pace) for wait, count in zip(found[3:], paces, strict=True)), found
        assert await waits(coordinator, start(RateLimit("other", 3, LONG, LONG))) == [0.0]
        assert await waits(coordinator) == []

    @law()
    async def test_those_who_wait_are_called_one_after_the_other(self, coordinator: Coordinator) -> None:
        """The times of one window are spread over the pace, or over a second of it."""
        short = RateLimit("short", 4, 0.4, 0.4)
        for rate, apart in ((RateLimit("k", 5, LONG, LONG), SPREAD / 5), (short, short.pace / 4)):
            given = (await waits(coordinator, *[start(rate)] * 4 * rate.limit))[rate.limit :]
            gaps = [later - earlier for earlier, later in itertools.pairwise(given)]
            assert min(gaps) >= 0.9 * apart, given

    @law()
    async def test_a_window_is_as_long_as_was_asked_for(self, coordinator: Coordinator) -> None:
        """No sooner than `window` after a start may another follow; and the first of those who wait is given no later a time
        than one `pace` after it."""
        await waits(coordinator, start(ONE))
        (wait,) = await waits(coordinator, start(ONE, booked=True))
        assert LONG - SLACK < wait <= ONE.pace + 0.01

    @law()
    async def test_who_comes_too_early_does_not_start(self, coordinator: Coordinator) -> None:
        """To say that one is booked opens no window."""
        await waits(coordinator, *[start(THREE)] * 3)
        assert all(wait > 0 for wait in await waits(coordinator, *[start(THREE, booked=True)] * 3))

    @law()
    async def test_the_booked_start_where_there_is_room(self, coordinator: Coordinator) -> None:
        """Whatever times others were given; a start of theirs counts as any other."""
        await waits(coordinator, start(ONE), *[start(ONE)] * 5)
        room = RateLimit("k", 3, LONG, LONG + 1)
        assert [wait > 0 for wait in await waits(coordinator, *[start(room, booked=True)] * 4)] == [False, False, True, True]

    @law()
    async def test_within_several_rates_all_or_none_is_taken(self, coordinator: Coordinator) -> None:
        """Who has to wait for one leaves the others as they are."""
        one = RateLimit("one", 1, LONG, LONG)
        found = await waits(coordinator, *[start(THREE, one)] * 5)
        assert found[0] == 0
        assert all(near(wait, count * LONG) for wait, count in zip(found[1:], (1, 2, 3, 4), strict=True)), found
        assert [wait > 0 for wait in await waits(coordinator, *[start(THREE)] * 3)] == [False, False, True]

    @law()
    async def test_who_waits_long_for_one_rate_does_not_hold_up_those_of_another(self, coordinator: Coordinator) -> None:
        """However many wait for a narrow rate, those who only need the wide one that they share are given its times."""
        narrow = RateLimit("narrow", 1, LONG, LONG)
        await waits(coordinator, *[start(THREE, narrow)] * 10)
        found = await waits(coordinator, *[start(THREE)] * 5)
        assert found[:2] == [0.0, 0.0]
        assert all(near(wait, THREE.pace) for wait in found[2:]), found

    @law()
    async def test_who_cannot_wait_takes_no_time(self, coordinator: Coordinator) -> None:
        """It is told how long it would be, and whoever comes next is given the time; who has the patience takes it."""
        await waits(coordinator, start(ONE))
        for booked in (False, True):
            hasty = start(ONE, booked=booked, patience=LONG / 2)
            assert all(near(wait, ONE.pace) for wait in await waits(coordinator, *[hasty] * 3))
        patient = start(ONE, patience=1.5 * LONG)
        first, second, third = await waits(coordinator, patient, patient, start(ONE))
        assert near(first, ONE.pace)
        assert near(second, 2 * ONE.pace)
        assert near(third, 2 * ONE.pace)

    @law()
    async def test_who_cannot_wait_may_start_now(self, coordinator: Coordinator) -> None:
        """Where there is room, patience does not matter."""
        wide = RateLimit("wide", 9, LONG, LONG)
        found = await waits(coordinator, *[start(THREE, wide, patience=0)] * 5, *[start(wide, booked=True, patience=-1)] * 7)
        assert [wait > 0 for wait in found] == [False] * 3 + [True] * 2 + [False] * 6 + [True]

    @law()
    async def test_a_race_for_a_rate_starts_no_more_than_may(self, coordinator: Coordinator) -> None:
        """Of fifty that want one of nine starts at the same time, nine get one, and no more than nine the same window."""
        rate = RateLimit("k", 9, LONG, LONG + 1)

        async def race(peer: Coordinator, number: int) -> list[float]:
            return await waits(peer, start(rate))

        found = sorted([wait for (wait,) in await self.race(coordinator, race)])
        assert [wait == 0 for wait in found].count(True) == 9
        assert all(near(wait, place // 9 * rate.pace) for place, wait in enumerate(found)), found

    @law()
    async def test_a_changed_rate_holds_at_once(self, coordinator: Coordinator) -> None:
        """More, fewer, and the limit of the request again: from the next call on, and starts count whatever the rate was."""
        rate = RateLimit("k", 2, LONG, LONG, setting="s")
        assert [wait > 0 for wait in await waits(coordinator, *[start(rate)] * 3)] == [False, False, True]
        await coordinator.put({"s": b"5 600.0 601"})
        assert [wait > 0 for wait in await waits(coordinator, *[start(rate)] * 4)] == [False, False, False, True]
        await coordinator.put({"s": b"1 300 310.5"})
        (first, second) = await waits(coordinator, start(rate), start(rate))
        assert near(first, 300)
        assert near(second, 610.5)
        await coordinator.put({"s": None})
        (wait,) = await waits(coordinator, start(rate))
        assert near(wait, LONG)

    @law()
    async def test_a_changed_rate_gives_times_anew(self, coordinator: Coordinator) -> None:
        """Those that were given before are forgotten, so that nobody waits as long as the old rate made him."""
        rate = RateLimit("k", 1, LONG, LONG, setting="s")
        (*_, last) = await waits(coordinator, *[start(rate)] * 20)
        assert near(last, 19 * LONG)
        await coordinator.put({"s": b"3 600 600"})
        found = await waits(coordinator, *[start(rate)] * 4)
        assert found[:2] == [0.0, 0.0]
        assert all(near(wait, LONG) for wait in found[2:]), found

    @law()
    async def test_a_rate_that_cannot_be_read_is_none(self, coordinator: Coordinator) -> None:
        """Then the limit of the request holds."""
        wrong = (b"", b"9", b"9 1", b"9 1 1 1", b"0 1 1", b"-9 1 1", b"9.0 1 1", b"9 0 1", b"9 2 1", b"9 1 inf", b"9 nan nan")
        for place, value in enumerate((*wrong, b"9  1 1", b"9 1 1 ", b"0x9 1 1", b"9 1 1e999", b"9 1 0x1", b"\xff")):
            await coordinator.put({"s": value})
            rate = RateLimit(f"k{place}", 1, LONG, LONG, setting="s")
            first, second = await waits(coordinator, start(rate), start(rate))
            assert first == 0
            assert near(second, LONG), value

    @law()
    async def test_numbers_of_a_rate_may_be_written_in_any_way(self, coordinator: Coordinator) -> None:
        """As whole numbers, with a point, with an exponent."""
        for place, value in enumerate((b"2 600 600", b"2 600. 600.0", b"2 6e2 6.00e+2", b"02 0600 60000e-2")):
            await coordinator.put({"s": value})
            found = await waits(coordinator, *[start(RateLimit(f"k{place}", 1, 1.0, 1.0, setting="s"))] * 3)
            assert found[:2] == [0.0, 0.0], value
            assert near(found[2], LONG), value
