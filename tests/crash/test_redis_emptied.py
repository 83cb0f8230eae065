"""A Redis that somebody has emptied, and one that has no memory left."""

import anyio
import pytest
from arena import Arena
from crash_support import on_redis
from server_stores import RedisStore
from support.processes import children_of

from taskiq_core import SendTaskError

pytestmark = [pytest.mark.crash, on_redis]


def test_emptied_by_somebody(arena: Arena[RedisStore]) -> None:
    """As by a restart without persistence: what was in it is lost, and whatever is sent from then on runs."""
    with arena.worker("--processes", "2") as supervisor:
        arena.results(arena.send("quick", ("before",)))
        workers = children_of(supervisor.pid)
        arena.send("nap", ("in hand", 1.0))
        arena.wait_start("in hand")
        with arena.store.client() as client:
            client.flushall()
        arena.results(arena.send("quick", ("after",)))
        arena.wait_ends(["in hand"])
        arena.wait_empty()
        assert children_of(supervisor.pid) == workers
    arena.ledger().hold(["before", "in hand", "after"])


def test_without_memory(arena: Arena[RedisStore]) -> None:
    """Redis refuses what is sent, takes it when there is room again, and workers go on all the time."""
    arena.store.part()
    kept = [f"k{number}" for number in range(20)]

    async def story() -> None:
        async with arena.sender() as broker:
            with arena.store.client() as client:
                client.config_set("maxmemory", client.info("memory")["used_memory"] // 2)
            with pytest.raises(SendTaskError, match="no memory left") as refusal:
                await broker.kicker("quick").kiq("refused")
            assert refusal.value.outcome == "refused"
            with arena.worker(calm=True):
                await anyio.to_thread.run_sync(arena.wait_ends, kept)
                await anyio.to_thread.run_sync(arena.wait_empty)
            with arena.store.client() as client:
                client.config_set("maxmemory", 0)
            await broker.kicker("quick").kiq("after")

    arena.send("quick", *((key,) for key in kept))
    anyio.run(story)
    with arena.worker():
        arena.wait_ends(["after"])
        arena.wait_empty()
    arena.ledger().hold([*kept, "after"])
    assert "refused" not in arena.ledger().starts
