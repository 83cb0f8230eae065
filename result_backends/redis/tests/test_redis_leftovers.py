"""Nothing is left behind: every key has a time to live, or an owner who deletes it.

Owner is the broker, who keeps for its queues their empty streams (`:q:<queue>:<level>`, one for each priority ever used and two
more) and the stream of dead letters (`:dead`). For an hour at most there are the numbers
of producers' last batches (`:sender:<name>`), for some seconds the marks of the last sweeps (`:q:<queue>:swept`). Results with
`result_ttl=None`, and values put without a time to live, are kept on wish. Nothing else stays.
"""

import time

import anyio
import pytest
from redis import Redis
from support.redis_servers import shared_redis

from taskiq_core import Worker, call
from taskiq_core.abc.coordinator import AdmissionRequest, Claim, RateLimit, SlotLimit
from taskiq_core.delivery import StoredResult
from taskiq_core.exceptions import TaskRejectedError, TaskRetry
from taskiq_core.progress import TaskProgress, TaskState
from taskiq_core.records import TaskStatus, Transition
from taskiq_core_brokers_redis import RedisBroker
from taskiq_core_result_backends_redis import RedisResultBackend

pytestmark = pytest.mark.anyio

TTL = 0.3
GONE = -0.002


def left(client: Redis, prefix: str) -> dict[str, float]:
    """Every key, by its name without the prefix, with its seconds to live; -0.001 for one that never expires."""
    lives = {key.partition("}:")[2]: client.pttl(key) / 1000 for key in client.scan_iter(f"*{prefix}*", count=1000)}
    return {name: seconds for name, seconds in lives.items() if seconds != GONE}


async def use_everything(backend: RedisResultBackend, *, ttl: float) -> None:
    for turn in range(3):
        key, holders = f"k{turn}", [f"h{number}" for number in range(10)]
        await backend.claim([Claim(key, holder, ttl) for holder in holders])
        slots, rate = [SlotLimit(key, 5)], RateLimit(key, 2, ttl / 3, ttl / 2.9, setting=key)
        await backend.put({key: b"2 %f %f" % (ttl / 3, ttl / 3), "other": b"1", "gone": None}, ttl)
        await backend.admit([AdmissionRequest(holder, ttl, slots) for holder in holders])
        await backend.admit([AdmissionRequest(holder, ttl, rates=[rate]) for holder in holders[:5]])
        await backend.add({key: 1, f"other {key}": 0}, ttl)
        await backend.arrive(f"complete {key}", holders, 10, ttl)
        await backend.arrive(f"incomplete {key}", holders, 11, ttl)
        await backend.set_results([StoredResult(f"{key} {holder}", b"1", ttl) for holder in holders])
        await backend.set_results([StoredResult(f"default {holder}", b"1") for holder in holders])
        await backend.set_progress(key, TaskProgress(state=TaskState.STARTED, meta={}))
        now = time.time()
        await backend.record([Transition(holder, TaskStatus.PENDING, now - 1, "x") for holder in holders])
        await backend.record([Transition(holder, TaskStatus(status), now, "x") for holder in holders for status in TaskStatus])
        await backend.record([Transition(f"{key} {holder}", TaskStatus.RUNNING, now, "y") for holder in holders])
        await backend.list_records(status=TaskStatus.RUNNING)
        await backend.count_by_status()
    await backend.release([("k0", "h0"), ("k0", "h1")])
    await backend.leave([("h0", SlotLimit("k0", 5)), ("h9", SlotLimit("k0", 5))])
    await recall(backend, ttl)
    await backend.forget(["k1"])
    await backend.cleanup(older_than=0.0)


async def recall(backend: RedisResultBackend, ttl: float) -> None:
    """Somebody comes just before a window opens."""
    wide, narrow = RateLimit("wide", 2, ttl / 3, ttl / 3), RateLimit("wide", 2, 0.05, 0.05)
    await backend.admit([AdmissionRequest("a", ttl, rates=[wide])] * 3)
    (answer,) = await backend.admit([AdmissionRequest("a", ttl, rates=[narrow], booked=True)])
    assert answer.wait <= 0.05


async def test_all_that_a_backend_stores_has_a_time_to_live(redis_url: str, redis_prefix: str) -> None:
    backend: RedisResultBackend = RedisResultBackend(redis_url, 50.0, record_ttl=50.0, prefix=redis_prefix)
    await backend.startup()
    await use_everything(backend, ttl=50.0)
    with shared_redis().client() as client:
        keys = left(client, redis_prefix)
    assert len(keys) > 50
    # Recalls live for a moment only, so that they may be gone.
    assert {kind.partition(":")[0] for kind in keys} | {"recalls"} == {
        *("claim", "slots", "starts", "bookings", "recalls", "value", "counter", "join", "joined"),
        *("result", "progress", "records"),
    }
    assert {name: seconds for name, seconds in keys.items() if not 0 < seconds < 51} == {}
    await backend.shutdown()


async def test_nothing_is_left_when_all_has_expired(redis_url: str, redis_prefix: str) -> None:
    backend: RedisResultBackend = RedisResultBackend(redis_url, TTL, record_ttl=TTL, prefix=redis_prefix)
    await backend.startup()
    await use_everything(backend, ttl=TTL)
    with shared_redis().client() as client, anyio.fail_after(20):
        while left(client, redis_prefix):
            await anyio.sleep(0.05)  # Redis tells nobody of what has expired
    await backend.shutdown()


async def test_what_a_broker_and_its_workers_leave_has_an_owner(redis_url: str, redis_prefix: str) -> None:
    backend: RedisResultBackend = RedisResultBackend(redis_url, TTL, record_ttl=TTL, prefix=redis_prefix)
    broker = RedisBroker(redis_url, prefix=redis_prefix).with_result_backend(backend).with_records(backend)

    @broker.task(max_retries=1)
    async def work(number: int) -> int:
        if number % 10 == 0:
            raise TaskRetry(delay=0.01)
        if number % 10 == 1:
            raise TaskRejectedError
        return number

    async with broker:
        for priority in (0, 5):
            await work.kicker().with_priority(priority).kiq_many([call(number) for number in range(30)])
        await work.kicker().with_delay(0.1).kiq(7)
        await Worker(broker, burst=True).run()
        assert broker.admin is not None
        assert await broker.admin.purge_dead() == 6
    with shared_redis().client() as client, anyio.fail_after(20):
        while any(name.startswith(("result", "record")) for name in left(client, redis_prefix)):
            await anyio.sleep(0.05)
        keys = left(client, redis_prefix)
        streams = {"dead", *(f"q:default:{level}" for level in ("0", "5", "back"))}
        assert [client.xlen(f"{{{redis_prefix}}}:{name}") for name in streams] == [0, 0, 0, 0]
    assert {name for name, seconds in keys.items() if seconds < 0} == {"q:default:nudge", *streams}
    expiring = {name: seconds for name, seconds in keys.items() if seconds >= 0}
    assert all(name.startswith("sender:") or name == "q:default:swept" for name in expiring)
    assert max(expiring.values()) <= 3600
