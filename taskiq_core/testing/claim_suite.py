"""The laws that every store of claims and counters keeps."""

import anyio

from taskiq_core.abc.coordinator import Claim, ClaimStore
from taskiq_core.testing.coordinator_tools import LONG, TTL, CoordinatorSuite, all_of, until
from taskiq_core.testing.suite import law


class ClaimStoreContract(CoordinatorSuite):
    """Inherit, and override `fresh_store`. Races run over two instances where `shared` says that they see each other."""

    @law()
    async def test_a_claim_has_one_owner(self, coordinator: ClaimStore) -> None:
        """A key that somebody holds is refused to others, and renewed for its owner; each item of a batch counts alone."""
        batch = [Claim("k", "a", LONG), Claim("k", "b", LONG), Claim("other", "b", LONG), Claim("k", "a", LONG)]
        assert await coordinator.claim(batch) == [True, False, True, True]
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [False]
        assert await coordinator.claim([]) == []

    @law()
    async def test_only_the_owner_releases(self, coordinator: ClaimStore) -> None:
        """A released key is free; one that is not the owner's stays."""
        await coordinator.claim([Claim("k", "a", LONG)])
        await coordinator.release([("k", "b"), ("unknown", "a")])
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [False]
        await coordinator.release([("k", "a"), ("k", "a")])
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [True]

    @law()
    async def test_a_claim_expires_unless_renewed(self, coordinator: ClaimStore) -> None:
        """An owner that does not renew loses the key when its ttl ends, and not before."""
        await coordinator.claim([Claim("renewed", "a", TTL), Claim("k", "a", TTL), Claim("renewed", "a", LONG)])
        begin = anyio.current_time()
        await until(lambda: all_of(coordinator.claim([Claim("k", "b", LONG)])))
        assert anyio.current_time() - begin >= TTL - 0.1
        assert await coordinator.claim([Claim("renewed", "b", LONG), Claim("k", "a", LONG)]) == [False, False]

    @law()
    async def test_a_race_for_claims_has_one_winner_each(self, coordinator: ClaimStore) -> None:
        """Of fifty that claim the same keys at the same time, one gets each."""
        keys = [f"k{number}" for number in range(5)]

        async def race(peer: ClaimStore, number: int) -> list[bool]:
            return await peer.claim([Claim(key, f"owner{number}", LONG) for key in keys])

        outcomes = await self.race(coordinator, race)
        assert [sum(column) for column in zip(*outcomes, strict=True)] == [1] * len(keys)

    @law()
    async def test_claims_have_holders(self, coordinator: ClaimStore) -> None:
        """Those of the keys that somebody holds, and nobody where a claim was released or has expired."""
        await coordinator.claim([Claim("k", "a", LONG), Claim("gone", "b", LONG), Claim("brief", "c", TTL)])
        await coordinator.claim([Claim("k", "b", LONG)])
        await coordinator.release([("gone", "b")])
        found = await coordinator.holders(["k", "gone", "unknown", "k"])
        assert found == {"k": "a"}
        assert await coordinator.holders([]) == {}

        async def expired() -> bool:
            return await coordinator.holders(["brief"]) == {}

        await until(expired)

    @law()
    async def test_counters_count(self, coordinator: ClaimStore) -> None:
        """A counter starts at 0, takes any amount, and lives from its last change."""
        assert await coordinator.add({"a": 3, "b": -1}, LONG) == {"a": 3, "b": -1}
        assert await coordinator.add({"a": 2**40}, LONG) == {"a": 3 + 2**40}
        assert await coordinator.add({}, LONG) == {}
        await coordinator.add({"brief": 5}, TTL)
        await anyio.sleep(1.5 * TTL)
        assert await coordinator.add({"brief": 1}, LONG) == {"brief": 1}

    @law()
    async def test_adding_nothing_reads_and_renews(self, coordinator: ClaimStore) -> None:
        """Adding 0 returns the value of a counter, 0 for a new one, and from then on its new time counts."""
        assert await coordinator.add({"new": 0}, LONG) == {"new": 0}
        await coordinator.add({"shorter": 3}, LONG)
        await coordinator.add({"longer": 3}, 2 * TTL)
        assert await coordinator.add({"shorter": 0}, TTL) == {"shorter": 3}
        assert await coordinator.add({"longer": 0}, LONG) == {"longer": 3}
        await anyio.sleep(3 * TTL)
        assert await coordinator.add({"shorter": 0, "longer": 0}, LONG) == {"shorter": 0, "longer": 3}

    @law()
    async def test_a_race_of_counters_loses_nothing(self, coordinator: ClaimStore) -> None:
        """Fifty that add at the same time see fifty different values."""

        async def race(peer: ClaimStore, number: int) -> int:
            return (await peer.add({"k": 1}, LONG))["k"]

        assert sorted(await self.race(coordinator, race)) == list(range(1, self.racers + 1))

    @law()
    async def test_forgetting_drops_claims_and_counters(self, coordinator: ClaimStore) -> None:
        """A forgotten key is as new for both; others stay."""
        for key in ("k", "kept"):
            await coordinator.claim([Claim(key, "a", LONG)])
            await coordinator.add({key: 1}, LONG)
        await coordinator.forget(["k", "unknown"])
        await coordinator.forget([])
        assert await coordinator.claim([Claim("k", "b", LONG), Claim("kept", "b", LONG)]) == [True, False]
        assert await coordinator.add({"k": 1, "kept": 1}, LONG) == {"k": 1, "kept": 2}
