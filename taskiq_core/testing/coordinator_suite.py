"""The laws that every coordinator keeps."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from taskiq_core.abc.coordinator import Claim, Coordinator, SlotRequest, TokenRequest
from taskiq_core.testing.suite import Suite, law

TTL = 0.5
"""Seconds of what shall expire."""

LONG = 600.0


class CoordinatorContract(Suite[Coordinator]):
    """Inherit, and override `fresh_store`. Races run over two instances where `shared` says that they see each other."""

    racers: int = 50

    # -- claims ------------------------------------------------------------------------------------------------------------

    @law()
    async def test_a_claim_has_one_owner(self, coordinator: Coordinator) -> None:
        """A key that somebody holds is refused to others, and renewed for its owner; each item of a batch counts alone."""
        batch = [Claim("k", "a", LONG), Claim("k", "b", LONG), Claim("other", "b", LONG), Claim("k", "a", LONG)]
        assert await coordinator.claim(batch) == [True, False, True, True]
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [False]
        assert await coordinator.claim([]) == []

    @law()
    async def test_only_the_owner_releases(self, coordinator: Coordinator) -> None:
        """A released key is free; one that is not the owner's stays."""
        await coordinator.claim([Claim("k", "a", LONG)])
        await coordinator.release([("k", "b"), ("unknown", "a")])
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [False]
        await coordinator.release([("k", "a"), ("k", "a")])
        assert await coordinator.claim([Claim("k", "b", LONG)]) == [True]

    @law()
    async def test_a_claim_expires_unless_renewed(self, coordinator: Coordinator) -> None:
        """An owner that does not renew loses the key when its ttl ends, and not before."""
        await coordinator.claim([Claim("renewed", "a", TTL), Claim("k", "a", TTL), Claim("renewed", "a", LONG)])
        begin = anyio.current_time()
        await until(lambda: granted(coordinator.claim([Claim("k", "b", LONG)])))
        assert anyio.current_time() - begin >= TTL - 0.1
        assert await coordinator.claim([Claim("renewed", "b", LONG), Claim("k", "a", LONG)]) == [False, False]

    @law()
    async def test_a_race_for_claims_has_one_winner_each(self, coordinator: Coordinator) -> None:
        """Of fifty that claim the same keys at the same time, one gets each."""
        keys = [f"k{number}" for number in range(5)]

        async def race(peer: Coordinator, number: int) -> list[bool]:
            return await peer.claim([Claim(key, f"owner{number}", LONG) for key in keys])

        outcomes = await self.race(coordinator, race)
        assert [sum(column) for column in zip(*outcomes, strict=True)] == [1] * len(keys)

    # -- slots -------------------------------------------------------------------------------------------------------------

    @law()
    async def test_slots_are_limited_and_renewed(self, coordinator: Coordinator) -> None:
        """No more holders than `limit`; who asks again keeps its slot and takes no second one."""
        batch = [SlotRequest("k", holder, 2, LONG) for holder in ("a", "b", "c", "a")]
        assert await coordinator.acquire_slots(batch) == [True, True, False, True]
        assert await coordinator.acquire_slots([SlotRequest("other", "c", 1, LONG), SlotRequest("none", "c", 0, LONG)]) == [
            True,
            False,
        ]
        await coordinator.release_slots([("k", "a"), ("k", "nobody"), ("unknown", "a")])
        batch = [SlotRequest("k", holder, 2, LONG) for holder in ("c", "a", "b")]
        assert await coordinator.acquire_slots(batch) == [True, False, True]

    @law()
    async def test_a_dead_holders_slot_is_free_again(self, coordinator: Coordinator) -> None:
        """A slot that is not renewed is free after its ttl; one that is renewed is not."""
        await coordinator.acquire_slots([SlotRequest("k", "alive", 2, LONG), SlotRequest("k", "dead", 2, TTL)])
        begin = anyio.current_time()
        await until(lambda: granted(coordinator.acquire_slots([SlotRequest("k", "heir", 2, LONG)])))
        assert anyio.current_time() - begin >= TTL - 0.1
        assert await coordinator.acquire_slots([SlotRequest("k", "late", 2, LONG)]) == [False]

    @law()
    async def test_a_race_for_slots_fills_them_exactly(self, coordinator: Coordinator) -> None:
        """Of fifty that want one of seven slots at the same time, seven get one."""

        async def race(peer: Coordinator, number: int) -> list[bool]:
            return await peer.acquire_slots([SlotRequest("k", f"holder{number}", 7, LONG)])

        assert sum(won for (won,) in await self.race(coordinator, race)) == 7

    # -- tokens ------------------------------------------------------------------------------------------------------------

    @law()
    async def test_a_bucket_gives_its_burst_and_then_says_when(self, coordinator: Coordinator) -> None:
        """A full bucket gives `burst` tokens at once; then the answer is the seconds until there are enough."""
        request = TokenRequest("k", rate=0.1, burst=3)
        waits = await coordinator.take_tokens([request] * 3)
        assert waits == [0.0, 0.0, 0.0]
        (wait,) = await coordinator.take_tokens([request])
        assert 8.0 < wait <= 10.01
        (wait,) = await coordinator.take_tokens([TokenRequest("k", 0.1, 3, tokens=2)])
        assert 18.0 < wait <= 20.01
        assert await coordinator.take_tokens([TokenRequest("other", 0.1, 3, tokens=3)]) == [0.0]

    @law()
    async def test_what_is_refused_takes_nothing(self, coordinator: Coordinator) -> None:
        """A request for more than there is leaves the tokens to smaller ones."""
        await coordinator.take_tokens([TokenRequest("k", 0.01, 4, tokens=2)])
        waits = await coordinator.take_tokens([TokenRequest("k", 0.01, 4, tokens=3), TokenRequest("k", 0.01, 4, tokens=2)])
        assert waits[0] > 0
        assert waits[1] == 0.0

    @law()
    async def test_tokens_come_back_at_the_rate(self, coordinator: Coordinator) -> None:
        """Over any time a bucket gives no more than `burst` and `rate` per second, and it does give that."""
        rate, burst, got = 20.0, 5.0, 0
        begin = anyio.current_time()
        while got < 15:
            (wait,) = await coordinator.take_tokens([TokenRequest("k", rate, burst)])
            got += wait == 0.0
            assert got <= burst + rate * (anyio.current_time() - begin) + 0.1, f"{got} tokens too early"
            await anyio.sleep(wait)

    @law()
    async def test_a_bucket_never_exceeds_its_burst(self, coordinator: Coordinator) -> None:
        """However long nobody asks, no more than `burst` tokens gather."""
        await coordinator.take_tokens([TokenRequest("k", 100.0, 2.0, tokens=2)])
        await anyio.sleep(0.2)
        waits = await coordinator.take_tokens([TokenRequest("k", 0.001, 2.0)] * 5)
        assert [wait == 0.0 for wait in waits] == [True, True, False, False, False]

    @law()
    async def test_a_race_for_tokens_gives_no_more_than_there_are(self, coordinator: Coordinator) -> None:
        """Of fifty that want one of nine tokens at the same time, nine get one."""

        async def race(peer: Coordinator, number: int) -> list[float]:
            return await peer.take_tokens([TokenRequest("k", 0.001, 9)])

        assert sum(wait == 0.0 for (wait,) in await self.race(coordinator, race)) == 9

    # -- counters and joins ------------------------------------------------------------------------------------------------

    @law()
    async def test_counters_count(self, coordinator: Coordinator) -> None:
        """A counter starts at 0, takes any amount, and lives from its last change."""
        assert await coordinator.add({"a": 3, "b": -1}, LONG) == {"a": 3, "b": -1}
        assert await coordinator.add({"a": 2**40}, LONG) == {"a": 3 + 2**40}
        assert await coordinator.add({}, LONG) == {}
        await coordinator.add({"brief": 5}, TTL)
        await anyio.sleep(1.5 * TTL)
        assert await coordinator.add({"brief": 1}, LONG) == {"brief": 1}

    @law()
    async def test_adding_nothing_reads_and_renews(self, coordinator: Coordinator) -> None:
        """Adding 0 returns the value of a counter, 0 for a new one, and from then on its new time counts."""
        assert await coordinator.add({"new": 0}, LONG) == {"new": 0}
        await coordinator.add({"shorter": 3}, LONG)
        await coordinator.add({"longer": 3}, 2 * TTL)
        assert await coordinator.add({"shorter": 0}, TTL) == {"shorter": 3}
        assert await coordinator.add({"longer": 0}, LONG) == {"longer": 3}
        await anyio.sleep(3 * TTL)
        assert await coordinator.add({"shorter": 0, "longer": 0}, LONG) == {"shorter": 0, "longer": 3}

    @law()
    async def test_a_race_of_counters_loses_nothing(self, coordinator: Coordinator) -> None:
        """Fifty that add at the same time see fifty different values."""

        async def race(peer: Coordinator, number: int) -> int:
            return (await peer.add({"k": 1}, LONG))["k"]

        assert sorted(await self.race(coordinator, race)) == list(range(1, self.racers + 1))

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
        """A forgotten key is as new for claims, slots, tokens, counters and joins; others stay."""
        for key in ("k", "kept"):
            await coordinator.claim([Claim(key, "a", LONG)])
            await coordinator.acquire_slots([SlotRequest(key, "a", 1, LONG)])
            await coordinator.take_tokens([TokenRequest(key, 0.001, 1)])
            await coordinator.add({key: 1}, LONG)
            await coordinator.arrive(key, ["a"], 1, LONG)
        await coordinator.forget(["k", "unknown"])
        for key, new in (("k", True), ("kept", False)):
            assert await coordinator.claim([Claim(key, "b", LONG)]) == [new]
            assert await coordinator.acquire_slots([SlotRequest(key, "b", 1, LONG)]) == [new]
            assert (await coordinator.take_tokens([TokenRequest(key, 0.001, 1)]) == [0.0]) == new
            assert await coordinator.add({key: 1}, LONG) == {key: 1 if new else 2}
            assert await coordinator.arrive(key, ["a"], 1, LONG) == new

    async def race(self, coordinator: Coordinator, run: Callable[[Coordinator, int], Awaitable[Any]]) -> list[Any]:
        """Run all racers at once and return their outcomes."""
        peers = [coordinator, await self.another()] if self.shared else [coordinator]
        outcomes: list[Any] = []

        async def one(number: int) -> None:
            outcomes.append(await run(peers[number % len(peers)], number))

        async with anyio.create_task_group() as group:
            for number in range(self.racers):
                group.start_soon(one, number)
        return outcomes


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again until it holds; the law's deadline ends the wait."""
    while not await holds():  # noqa: ASYNC110 - expiry tells nobody
        await anyio.sleep(0.02)


async def granted(answer: Awaitable[list[bool]]) -> bool:
    """Whether all of a batch was granted."""
    return all(await answer)
