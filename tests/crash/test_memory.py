"""What a worker holds is bounded: by its credit, not by the backlog; and nothing stays behind per task (G11)."""

import os
import signal

import anyio
import pytest
from arena import Arena, resident, wait_until
from crash_support import on_every_store, on_redis
from server_stores import RedisStore
from support.processes import children_of

from taskiq_core import call

pytestmark = pytest.mark.crash

MB = 1024 * 1024
CHUNK = 5_000


def send(arena: Arena, count: int) -> None:
    async def story() -> None:
        async with arena.client() as broker:
            for _ in range(count // CHUNK):
                await broker.kicker("noop").kiq_many([call()] * CHUNK)

    anyio.run(story)


def test_flat_over_many_tasks(arena: Arena) -> None:
    arena.lease = 30.0
    with arena.worker() as supervisor:
        send(arena, 10_000)
        arena.wait_empty()
        (pid,) = children_of(supervisor.pid)
        warm = resident(pid)
        send(arena, 50_000)
        arena.wait_empty(timeout=60)
        assert children_of(supervisor.pid) == [pid]
        grown = resident(pid) - warm
    assert grown < 12 * MB, f"{grown / MB:.1f} MB in 50,000 tasks"


@on_every_store
def test_a_backlog_stays_in_the_database(arena: Arena) -> None:
    arena.lease = 30.0
    arena.send("nap", *((f"k{n}", 600.0) for n in range(20)))
    with arena.worker("--concurrency", "20", grace=0) as supervisor:
        arena.wait_start("k19")
        (pid,) = children_of(supervisor.pid)
        empty = resident(pid)
        send(arena, 100_000)
        wait_until(lambda: arena.depth().ready >= 99_000, "the backlog")
        held = arena.depth().leased
        grown = resident(pid) - empty
        supervisor.stop(10)
    assert held <= 20 + 2000
    assert grown < 30 * MB, f"{grown / MB:.1f} MB with 100,000 messages waiting"


@on_redis
def test_no_key_stays_behind_that_grows(arena: Arena[RedisStore]) -> None:
    """After sends of every kind, a worker that was killed and one that left, there is the structure and what has an expiry."""

    async def story() -> None:
        async with arena.client() as broker:
            for priority in range(10):
                await broker.kicker("noop").with_priority(priority).kiq_many([call()] * 500)
            await broker.kicker("noop").with_delay(1.0).kiq_many([call()] * 500)
            await broker.kicker("picky").kiq_many([call()] * 20)

    with arena.worker("--processes", "2") as supervisor:
        anyio.run(story)
        ids = arena.send("nap", *((f"k{number}", 0.5) for number in range(20)))
        os.kill(arena.wait_start("k19"), signal.SIGKILL)
        arena.results(ids)
        arena.wait_empty()
        assert supervisor.stop() == 0
    with arena.store.client() as client:
        kept = {key for key in client.scan_iter(count=1000) if client.ttl(key) == -1}  # -2: it has just expired
        streams = {f"{{taskiq}}:q:default:{level}" for level in ("back", "nudge", *range(10))}
        assert kept <= streams | {"{taskiq}:queues"}
        for key in kept & streams:
            assert client.xlen(key) <= (1 if key.endswith("nudge") else 0), key
            assert client.xinfo_consumers(key, "workers") == [], key
            assert client.memory_usage(key) < 20_000, key
