"""Laws of slots: how many at once."""

import anyio

from taskiq_core.abc.coordinator import AdmissionRequest, Coordinator, RateLimit, SlotLimit
from taskiq_core.testing.coordinator_tools import LONG, TTL, CoordinatorSuite, all_of, may, slot, start, until, waits
from taskiq_core.testing.suite import law

ONE, TWO = SlotLimit("k", 1), SlotLimit("k", 2)


class SlotLaws(CoordinatorSuite):
    """For coordinators that admit to slots."""

    @law()
    async def test_slots_are_limited(self, coordinator: Coordinator) -> None:
        """No more holders than `limit`; who asks again keeps its slot and takes no second one."""
        assert await may(coordinator, *(slot(holder, TWO) for holder in "abca")) == [True, True, False, True]
        (full,) = await coordinator.admit([slot("c", TWO)])
        assert full.full == "k"
        assert await may(coordinator, slot("c", SlotLimit("other", 1)), slot("c", SlotLimit("none", 0))) == [True, False]
        assert await coordinator.admit([]) == []

    @law()
    async def test_a_dead_holders_slot_is_free_again(self, coordinator: Coordinator) -> None:
        """A slot that is not renewed is free after its ttl, and not before."""
        await coordinator.admit([slot("alive", TWO), slot("dead", TWO, ttl=TTL)])
        begin = anyio.current_time()
        await until(lambda: all_of(may(coordinator, slot("heir", TWO))))
        assert anyio.current_time() - begin >= TTL - 0.1
        assert await may(coordinator, slot("late", TWO)) == [False]

    @law()
    async def test_a_slot_is_renewed_by_asking_again(self, coordinator: Coordinator) -> None:
        """From then on the new ttl counts, be it longer or shorter."""
        limit = SlotLimit("k", 2)
        await coordinator.admit([slot("longer", limit, ttl=TTL), slot("shorter", limit), slot("longer", limit)])
        assert await may(coordinator, slot("shorter", limit, ttl=TTL), slot("new", limit)) == [True, False]
        await until(lambda: all_of(may(coordinator, slot("new", limit))))
        assert await may(coordinator, slot("late", limit), slot("longer", limit)) == [False, True]

    @law()
    async def test_who_leaves_hears_how_many_are_free(self, coordinator: Coordinator) -> None:
        """All leave, then the free slots are counted; who holds none leaves none and hears it too; free is never below 0."""
        await coordinator.admit([slot(holder, SlotLimit("k", 3)) for holder in "abc"])
        three, other = SlotLimit("k", 3), SlotLimit("other", 5)
        assert await coordinator.leave([("nobody", three), ("a", other)]) == [0, 5]
        assert await coordinator.leave([("a", three), ("nobody", three), ("b", three)]) == [2, 2, 2]
        assert await may(coordinator, *(slot(holder, three) for holder in "dea")) == [True, True, False]
        assert await coordinator.leave([("nobody", ONE)]) == [0]
        assert await coordinator.leave([]) == []

    @law()
    async def test_slots_of_the_dead_are_counted_as_free(self, coordinator: Coordinator) -> None:
        """Who leaves hears of those that nobody renewed too."""
        await coordinator.admit([slot("alive", TWO), slot("dead", TWO, ttl=TTL)])

        async def both_free() -> bool:
            return await coordinator.leave([("nobody", TWO)]) == [1]

        await until(both_free)

    @law()
    async def test_slots_are_taken_all_or_none(self, coordinator: Coordinator) -> None:
        """Who finds one of its limits full takes a slot of none, and hears which it is."""
        free, full = SlotLimit("free", 1), SlotLimit("full", 1)
        await coordinator.admit([slot("a", full)])
        answers = await coordinator.admit([slot("b", free, full), slot("c", free)])
        assert [answer.full for answer in answers] == ["full", None]
        assert await coordinator.leave([("a", full), ("c", free)]) == [1, 1]
        assert await may(coordinator, slot("b", free, full), slot("b", full, free)) == [True, True]

    @law()
    async def test_who_waits_takes_no_slot_and_who_finds_slots_full_no_start(self, coordinator: Coordinator) -> None:
        """All or nothing, over slots and rates: a refusal leaves both to others."""
        rate, other = RateLimit("k", 1, LONG, LONG), RateLimit("other", 1, LONG, LONG)
        await coordinator.admit([start(rate), slot("a", ONE)])
        full, waiting = await coordinator.admit(
            [
                AdmissionRequest("b", LONG, [ONE], [other]),
                AdmissionRequest("b", LONG, [SlotLimit("free", 1)], [rate]),
            ]
        )
        assert full.full == "k"
        assert full.wait == 0
        assert waiting.wait > 0
        assert await may(coordinator, slot("c", SlotLimit("free", 1)), start(other)) == [True, True]
        refused = [AdmissionRequest("d", LONG, [ONE], [rate])] * 3
        assert [answer.full for answer in await coordinator.admit(refused)] == ["k"] * 3
        (wait,) = await waits(coordinator, start(rate))
        assert wait <= 2 * LONG + 1, "a time was given to one that found slots full"

    @law()
    async def test_a_race_for_slots_fills_them_exactly(self, coordinator: Coordinator) -> None:
        """Of fifty that want one of seven slots at the same time, seven get one."""

        async def race(peer: Coordinator, number: int) -> list[bool]:
            return await may(peer, slot(f"holder{number}", SlotLimit("k", 7)))

        assert sum(won for (won,) in await self.race(coordinator, race)) == 7

    @law()
    async def test_a_changed_number_of_slots_holds_at_once(self, coordinator: Coordinator) -> None:
        """More, fewer, none, and the limit of the request again: from the next call on. Holders keep what they have."""
        limit = SlotLimit("k", 1, setting="s")
        assert await may(coordinator, slot("a", limit), slot("b", limit)) == [True, False]
        await coordinator.put({"s": b"3"})
        assert await may(coordinator, *(slot(holder, limit) for holder in "bcd")) == [True, True, False]
        await coordinator.put({"s": b"2"})
        assert await may(coordinator, *(slot(holder, limit) for holder in "abcd")) == [True, True, True, False]
        assert await coordinator.leave([("nobody", limit)]) == [0]
        assert await coordinator.leave([("a", limit), ("b", limit)]) == [1, 1]
        await coordinator.put({"s": b"0"})
        assert await coordinator.leave([("c", limit)]) == [0]
        assert await may(coordinator, slot("a", limit)) == [False]
        await coordinator.put({"s": None})
        assert await may(coordinator, slot("a", limit), slot("b", limit)) == [True, False]

    @law()
    async def test_a_number_of_slots_that_cannot_be_read_is_none(self, coordinator: Coordinator) -> None:
        """Then the limit of the request holds."""
        for value in (b"", b"many", b"-1", b"2.5", b" 2", b"0x2", b"1e1", b"\xff", b"9" * 400):
            await coordinator.put({"s": value})
            key = f"k{value!r}"[:20]
            assert await may(coordinator, *(slot(h, SlotLimit(key, 1, setting="s")) for h in "ab")) == [True, False], value
