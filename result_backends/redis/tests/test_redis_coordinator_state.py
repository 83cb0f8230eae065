"""What the coordinator keeps in Redis, and for how long."""

import math

import pytest
from support.redis_servers import shared_redis

from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
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
    two = [SlotLimit("k", 2)]
    await backend.admit([AdmissionRequest("long", 600, two), AdmissionRequest("brief", 5, two)])
    assert 590 < times_to_live(redis_prefix)["slots"] <= 600.01


async def test_starts_and_times_live_as_long_as_they_count(backend: RedisResultBackend, redis_prefix: str) -> None:
    await backend.admit([within(RateLimit("k", 2, 100, 110))] * 7)
    lives = times_to_live(redis_prefix)
    assert 90 < lives["starts"] <= 100.01
    assert 430 < lives["bookings"] <= 440.01
    assert lives.keys() == {"starts", "bookings"}


async def test_no_more_is_kept_than_counts(backend: RedisResultBackend, redis_prefix: str) -> None:
    """However many wait, however often they ask, and over however many windows."""
    rate = RateLimit("k", 3, 0.02, 0.02)
    with shared_redis().client() as client:
        for turn in range(30):
            await backend.admit([within(rate)] * 300 if turn < 20 else [within(rate, booked=True)] * 5)
        sizes = {kind: client.zcard(f"{{{redis_prefix}}}:{kind}:k") for kind in ("starts", "bookings", "recalls")}
    assert sizes["starts"] <= 106
    assert sizes["bookings"] <= 403
    assert sizes["recalls"] <= 12


async def test_a_clock_that_is_set_back_blocks_nobody(backend: RedisResultBackend, redis_prefix: str) -> None:
    """As another server's may be that takes over: what it knows of the future counts as of now."""
    rate, hour = RateLimit("k", 2, 60, 60), 3600e6
    await backend.admit([within(rate)] * 5)
    with shared_redis().client() as client:
        for name in (f"{{{redis_prefix}}}:{kind}:k" for kind in ("starts", "bookings")):
            client.zadd(name, {member: at + hour for member, at in client.zrange(name, 0, -1, withscores=True)})
    answers = await backend.admit([within(rate)] * 3)
    assert all(50 < answer.wait <= 61.01 for answer in answers[:2]), answers
    assert 110 < answers[2].wait <= 121.01


def within(*rates: RateLimit, booked: bool = False) -> AdmissionRequest:
    return AdmissionRequest("somebody", 60, rates=rates, booked=booked)


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
    assert (await backend.admit([AdmissionRequest("me", ttl, [SlotLimit("k", 1)])]))[0].granted
    await backend.put({"k": b"1"}, ttl)
    assert await backend.add({"k": 1}, ttl) == {"k": 1}
    assert not await backend.arrive("k", ["me"], 2, ttl)
    assert -0.001 not in times_to_live(redis_prefix).values()
