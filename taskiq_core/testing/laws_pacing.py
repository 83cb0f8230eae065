"""Laws of rates that take their time: no window ever has more starts than it may, and nobody asks in vain for long."""

from collections.abc import Sequence

import anyio

from taskiq_core.abc.coordinator import Coordinator, RateLimit
from taskiq_core.testing.coordinator_tools import CoordinatorSuite, start, waits
from taskiq_core.testing.suite import law

TICK = 0.002
"""Seconds by which two clocks may differ over a window."""


class Crowd:
    """Waiters who come at their times until they start, and what came of it."""

    def __init__(self, *rates: RateLimit) -> None:
        self.rates = rates
        self.asked = 0
        self.starts: list[tuple[float, float]] = []
        """Before and after the answer that let one start."""

    async def wait_and_start(self, coordinator: Coordinator, wait: float | None = None) -> None:
        """One of them; `wait` where it was given a time already."""
        while wait is None or wait > 0:
            await anyio.sleep(wait or 0)
            begin = anyio.current_time()
            (wait,) = await waits(coordinator, start(*self.rates, booked=wait is not None))
            self.asked += 1
            if wait == 0:
                self.starts.append((begin, anyio.current_time()))

    def check(self, rate: RateLimit) -> None:
        """No window had more starts than it may, not even if each was as early and as late as it can have been."""
        ordered = sorted(self.starts, key=lambda times: times[1])
        for (begin, _), (_, end) in zip(ordered, ordered[rate.limit :], strict=False):
            assert end - begin > rate.window - TICK, f"{rate.limit + 1} starts within {end - begin:.4f} s"


class PacingLaws(CoordinatorSuite):
    """For coordinators that admit to rates."""

    @law()
    async def test_no_window_has_more_starts_than_it_may(self, coordinator: Coordinator) -> None:
        """Fifty who come at the times that they are given all start, ask about twice each, and never too many at once."""
        rate = RateLimit("k", 10, 0.3, 0.33)
        crowd = Crowd(rate)

        async def race(peer: Coordinator, number: int) -> None:
            await crowd.wait_and_start(peer)

        await self.race(coordinator, race)
        crowd.check(rate)
        assert len(crowd.starts) == self.racers
        assert crowd.asked <= 5 * self.racers, f"{crowd.asked} times asked for {self.racers} starts"

    @law()
    async def test_those_who_come_late_start_no_faster(self, coordinator: Coordinator) -> None:
        """All of them come long after their times, as after an outage: a window's worth starts, others are given new times."""
        rate = RateLimit("k", 5, 0.4, 0.44)
        crowd = Crowd(rate)
        given = await waits(coordinator, *[start(rate)] * 25)
        assert given[:5] == [0.0] * 5
        await anyio.sleep(given[-1])
        late = await self._come_at_once(crowd, coordinator, len(given) - 5)
        assert late.count(0.0) == 5
        async with anyio.create_task_group() as group:
            for wait in late:
                if wait > 0:
                    group.start_soon(crowd.wait_and_start, coordinator, wait)
        crowd.check(rate)
        assert len(crowd.starts) == 20
        assert crowd.asked <= 100, f"{crowd.asked} times asked for 20 starts"

    @staticmethod
    async def _come_at_once(crowd: Crowd, coordinator: Coordinator, count: int) -> list[float]:
        begin = anyio.current_time()
        found = await waits(coordinator, *[start(*crowd.rates, booked=True)] * count)
        crowd.asked += count
        crowd.starts += [(begin, anyio.current_time())] * found.count(0.0)
        return found

    @law()
    async def test_two_rates_are_kept_at_once(self, coordinator: Coordinator) -> None:
        """A wide one that all share, and a narrow one for each of several keys."""
        wide = RateLimit("wide", 8, 0.3, 0.33)
        narrow = [RateLimit(f"narrow{number}", 2, 0.3, 0.33) for number in range(5)]
        crowds = [Crowd(wide, rate) for rate in narrow]

        async def race(peer: Coordinator, number: int) -> None:
            await crowds[number % 5].wait_and_start(peer)

        await self.race(coordinator, race)
        everybody = Crowd(wide)
        everybody.starts = [times for crowd in crowds for times in crowd.starts]
        everybody.check(wide)
        for rate, crowd in zip(narrow, crowds, strict=True):
            crowd.check(rate)
        assert len(everybody.starts) == self.racers

    @law()
    async def test_those_who_wait_for_a_moment_do_not_come_at_the_same_time(self, coordinator: Coordinator) -> None:
        """Just before the window opens, each of the booked has an opening of its own, and one too many a new time."""
        found: list[float] = []
        while not found:
            found = await self._just_before_it_opens(coordinator)
        first, second, third = found
        assert 0 < first < second <= 0.2 < third, found
        assert second - first >= 0.04

    async def _just_before_it_opens(self, coordinator: Coordinator) -> list[float]:
        """What three are told who were given times after two starts; nothing where the machine was too slow for this."""
        rate = RateLimit(f"k{anyio.current_time()}", 2, 2.0, 2.1)
        begin = anyio.current_time()
        await waits(coordinator, start(rate))
        first = anyio.current_time()
        await anyio.sleep(0.05)
        await waits(coordinator, *[start(rate)] * 4)
        second = anyio.current_time()
        await anyio.sleep(first + 1.9 - second)
        found = await waits(coordinator, *[start(rate, booked=True)] * 3)
        in_time = second - first < 0.09 and anyio.current_time() < begin + rate.window - TICK
        return found if in_time else []

    @law()
    async def test_what_nobody_used_does_not_gather(self, coordinator: Coordinator) -> None:
        """However long nobody came, a window has no more starts than it may."""
        rate = RateLimit("k", 3, 0.2, 0.21)
        await waits(coordinator, start(rate))
        await anyio.sleep(4 * rate.pace)
        first = await waits(coordinator, *[start(rate)] * 5)
        assert [wait > 0 for wait in first] == [False, False, False, True, True]

    @law()
    async def test_nobody_starts_before_those_who_wait(self, coordinator: Coordinator) -> None:
        """Who comes when a window has just opened is given a time behind those who have one."""
        rate = RateLimit("k", 2, 0.3, 0.33)
        given: Sequence[float] = await waits(coordinator, *[start(rate)] * 6)
        begin = anyio.current_time()
        await anyio.sleep(rate.window + 0.01)
        (late,) = await waits(coordinator, start(rate))
        assert anyio.current_time() + late >= begin + max(given[-1], 2 * rate.window) - 0.05
