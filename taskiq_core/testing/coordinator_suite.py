"""The laws that every coordinator keeps."""

from taskiq_core.abc.coordinator import Claim, Coordinator, RateLimit, SlotLimit
from taskiq_core.testing.claim_suite import ClaimStoreContract
from taskiq_core.testing.coordinator_tools import LONG, may, slot, start, waits
from taskiq_core.testing.laws_pacing import PacingLaws
from taskiq_core.testing.laws_rates import RateLaws
from taskiq_core.testing.laws_slots import SlotLaws
from taskiq_core.testing.laws_values import ValueLaws
from taskiq_core.testing.suite import law


class CoordinatorContract(SlotLaws, RateLaws, PacingLaws, ValueLaws, ClaimStoreContract):
    """Inherit, and override `fresh_store`. Races run over two instances where `shared` says that they see each other."""

    @law()
    async def test_a_join_completes_once(self, coordinator: Coordinator) -> None:
        """The call that completes the members gets True, and nobody after it; who arrives twice counts once."""
        arrive = coordinator.arrive
        assert not await arrive("k", ["a", "a"], 3, LONG)
        assert not await arrive("k", ["a", "b"], 3, LONG)
        assert not await arrive("other", ["c"], 3, LONG)
        assert await arrive("k", ["c", "d"], 3, LONG)
        assert not await arrive("k", ["c"], 3, LONG)
        assert not await arrive("k", ["e"], 3, LONG)
        assert await arrive("at once", ["a", "b"], 2, LONG)

    @law()
    async def test_a_race_of_arrivals_has_one_last(self, coordinator: Coordinator) -> None:
        """Of fifty that arrive at the same time, each twice, one is told that the join is complete."""

        async def race(peer: Coordinator, number: int) -> int:
            return sum([await peer.arrive("k", [f"m{number}"], self.racers, LONG) for _ in range(2)])

        assert sum(await self.race(coordinator, race)) == 1

    @law()
    async def test_forgetting_drops_every_kind(self, coordinator: Coordinator) -> None:
        """A forgotten key is as new for claims, slots, rates, values, counters and joins; others stay."""
        for key in ("k", "kept"):
            await coordinator.claim([Claim(key, "a", LONG)])
            await coordinator.admit([slot("a", SlotLimit(key, 1)), *[start(RateLimit(key, 1, LONG, LONG))] * 3])
            await coordinator.put({key: b"1"})
            await coordinator.add({key: 1}, LONG)
            await coordinator.arrive(key, ["a"], 1, LONG)
        await coordinator.forget(["k", "unknown"])
        await coordinator.forget([])
        assert await coordinator.get(["k", "kept"]) == {"kept": b"1"}
        for key, new in (("k", True), ("kept", False)):
            assert await coordinator.claim([Claim(key, "b", LONG)]) == [new]
            assert await may(coordinator, slot("b", SlotLimit(key, 1))) == [new]
            first, second = await waits(coordinator, *[start(RateLimit(key, 1, LONG, LONG))] * 2)
            assert (first == 0, second < LONG + 1) == (new, new)
            assert await coordinator.add({key: 1}, LONG) == {key: 1 if new else 2}
            assert await coordinator.arrive(key, ["a"], 1, LONG) == new
