"""What the coordinator keeps in Redis, and for how long."""

import math

import anyio
import pytest
from support.redis_servers import shared_redis

from taskiq_core.abc.coordinator import Claim, SlotRequest, TokenRequest
from taskiq_core_result_backends_redis import RedisResultBackend

pytestmark = pytest.mark.anyio


def times_to_live(prefix: str) -> dict[str, float]:
    """Seconds by kind of key; -0.001 for one that never expires."""
    with shared_redis().client() as client:
        return {key.split(":")[1]: client.pttl(key) / 1000 for key in client.scan_iter(f"*{prefix}*")}


async def test_counters_have_64_bits(backend: RedisResultBackend) -> None:
    assert await backend.add({"k": 2**62 + 1, "other": -(2**62) - 1}, 60) == {"k": 2**62 + 1, "other": -(2**62) - 1}
    assert await backend.add({"k": 1}, 60) == {"k": 2**62 + 2}


async def test_slots_live_as_long_as_the_last_of_them(backend: RedisResultBackend, redis_prefix: str) -> None:
    await backend.acquire_slots([SlotRequest("k", "long", 2, 600), SlotRequest("k", "brief", 2, 5)])
    assert 590 < times_to_live(redis_prefix)["slots"] <= 600.01


async def test_a_limit_can_be_changed_at_run_time(backend: RedisResultBackend) -> None:
    assert await backend.acquire_slots([SlotRequest("k", holder, 3, 60) for holder in "abc"]) == [True] * 3
    lowered = [SlotRequest("k", holder, 1, 60) for holder in "abcd"]
    assert await backend.acquire_slots(lowered) == [True, True, True, False]
    await backend.release_slots([("k", "a"), ("k", "b")])
    assert await backend.acquire_slots([SlotRequest("k", "d", 1, 60), SlotRequest("k", "d", 2, 60)]) == [False, True]


async def test_a_bucket_lives_until_it_would_be_full(backend: RedisResultBackend, redis_prefix: str) -> None:
    await backend.take_tokens([TokenRequest("k", 0.1, 60, tokens=30)])
    assert 290 < times_to_live(redis_prefix)["bucket"] <= 300.01
    with anyio.fail_after(10):
        await backend.forget(["k"])
        await backend.take_tokens([TokenRequest("k", 1000, 100, tokens=100)])
        while times_to_live(redis_prefix):
            await anyio.sleep(0.02)


async def test_what_cannot_be_is_infinitely_far(backend: RedisResultBackend, redis_prefix: str) -> None:
    requests = [TokenRequest("k", 1, 5, tokens=6), TokenRequest("never", 0, 1), TokenRequest("never", 0, 1)]
    assert await backend.take_tokens(requests) == [math.inf, 0.0, math.inf]
    assert times_to_live(redis_prefix)["bucket"] > 0


async def test_waits_add_up_to_the_microsecond(backend: RedisResultBackend) -> None:
    """Fractions of tokens are kept: neither lost to nor gained from the rounding of times."""
    first, second = await backend.take_tokens([TokenRequest("k", 0.001, 1), TokenRequest("k", 0.001, 1)])
    assert (first, second) == (0.0, 1000.0)
    (third,) = await backend.take_tokens([TokenRequest("k", 0.001, 1, tokens=0.5)])
    assert 490 < third < 500


async def test_a_complete_join_forgets_its_members(backend: RedisResultBackend, redis_prefix: str) -> None:
    members = [str(number) for number in range(5000)]
    assert not await backend.arrive("k", members[1:], 5000, 60)
    assert times_to_live(redis_prefix).keys() == {"join"}
    assert await backend.arrive("k", members[:1], 5000, 60)
    assert times_to_live(redis_prefix).keys() == {"joined"}
    assert not await backend.arrive("k", members, 5000, 600)
    assert times_to_live(redis_prefix)["joined"] > 500


@pytest.mark.parametrize("ttl", [0.0, -1.0, 0.0001, 1e12, math.inf])
async def test_every_time_to_live_can_be_kept(backend: RedisResultBackend, redis_prefix: str, ttl: float) -> None:
    assert await backend.claim([Claim("k", "me", ttl)]) == [True]
    assert await backend.acquire_slots([SlotRequest("k", "me", 1, ttl)]) == [True]
    assert await backend.add({"k": 1}, ttl) == {"k": 1}
    assert not await backend.arrive("k", ["me"], 2, ttl)
    assert -0.001 not in times_to_live(redis_prefix).values()
