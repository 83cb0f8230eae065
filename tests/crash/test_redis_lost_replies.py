"""Redis does what it was asked to, and the connection breaks before it can say so."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from arena import PATIENCE, Arena, wait_until
from crash_support import on_redis
from server_stores import RedisStore
from steady_sender import SteadySender

from taskiq_core_brokers_redis.scripts import Script

pytestmark = [pytest.mark.crash, on_redis]


def claim() -> bytes:
    """What tells a request to claim from others."""
    script = Script("delayed", "parking", "returning", "claim")
    return hashlib.sha1(script.text.encode()).hexdigest().encode()


def test_to_a_send_whose_task_has_finished_meanwhile(arena: Arena[RedisStore]) -> None:
    proxy = arena.store.proxy

    async def send() -> str:
        async with arena.sender() as broker:
            await broker.kicker("quick").kiq("before")
            cut = proxy.drop_replies(b"sent twice")
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.to_thread.run_sync, refuse_until_empty, cut)
                handle = await broker.kicker("quick").kiq("sent twice")
            await broker.kicker("quick").kiq("after")
            return handle.task_id

    def refuse_until_empty(cut: threading.Event) -> None:
        assert cut.wait(PATIENCE)
        proxy.refuse()
        arena.wait_ends(["sent twice"])
        arena.wait_empty()
        proxy.resume()

    with arena.worker(calm=True):
        task_id = anyio.run(send)
        arena.wait_ends(["before", "sent twice", "after"])
        arena.wait_empty()
        assert arena.results([task_id])[0].return_value == "sent twice"
    arena.ledger().hold(["before", "sent twice", "after"])


def test_to_settling(arena: Arena[RedisStore]) -> None:
    arena.lease = 60.0  # whatever is stuck stays stuck
    keys = [f"settled {number}" for number in range(6)]
    with arena.worker("--concurrency", "6") as worker:
        teach(arena)
        ids = arena.send("nap", *((key, 0.5 + 0.1 * number) for number, key in enumerate(keys)))
        arena.wait_start(keys[-1])
        assert arena.store.proxy.drop_replies(keys[0].encode()).wait(PATIENCE)
        assert arena.store.proxy.drop_replies(keys[-1].encode()).wait(PATIENCE)
        assert [result.return_value for result in arena.results(ids)] == keys
        arena.wait_empty()
        arena.results(arena.send("quick", ("after",)))
        worker.wait_for_line("cannot be reached")
    arena.ledger().hold([*keys, "after"])


@pytest.mark.parametrize("apart", [False, True])
def test_to_settling_and_long_enough_for_the_lease_to_end(arena: Arena[RedisStore], apart: bool) -> None:
    """What has been settled stays so, though the worker does not know it and another one is there to take it."""
    if apart:
        arena.store.part()
    with arena.worker() as first:
        teach(arena)
        ids = arena.send("nap", ("settled", 1.0))
        arena.wait_start("settled")
        with cut_off_after(arena, ids[0].encode()), arena.worker(calm=True):
            time.sleep(2 * arena.lease)
        assert arena.results(ids)[0].return_value == "settled"
        arena.wait_empty()
        assert first.returncode is None
    arena.ledger().hold(["settled"])


def teach(arena: Arena[RedisStore]) -> None:
    """Have the server know the scripts, so that the next request is carried out at once."""
    arena.results(arena.send("twice", (1,)))
    arena.wait_empty()


@contextmanager
def cut_off_after(arena: Arena[RedisStore], request: bytes) -> Iterator[None]:
    """Begins when the answer to `request` is lost; nobody gets through the proxy for the length of the block."""
    assert arena.store.proxy.drop_replies(request).wait(PATIENCE)
    arena.store.proxy.refuse()
    yield
    arena.store.proxy.resume()


def test_to_claims_again_and_again(arena: Arena[RedisStore]) -> None:
    """Nothing waits for the end of a lease, and nobody is thought to have died."""
    arena.lease = 60.0
    with arena.worker(calm=True):
        teach(arena)
    cut = arena.store.proxy.drop_replies(claim(), count=5)
    ids = arena.send("nap", ("claimed", 1.0))
    with arena.worker():
        assert cut.wait(PATIENCE)
        arena.wait_start("claimed")
        deaths = arena.store.deaths()
        assert arena.results(ids)[0].return_value == "claimed"
        arena.wait_empty()
    assert deaths == [0]
    arena.ledger().hold(["claimed"])


def test_to_blocking_reads(arena: Arena[RedisStore]) -> None:
    arena.lease = 60.0
    keys: list[str] = []
    with arena.worker("--processes", "2"):
        for _ in range(5):
            cut = arena.store.proxy.drop_replies(b"XREADGROUP")
            while not cut.is_set():
                keys.append(f"k{len(keys)}")
                arena.send("quick", (keys[-1],))
                time.sleep(0.05)
        arena.wait_ends(keys)
        arena.wait_empty()
    arena.ledger().hold(keys)


def test_to_anything_under_load(arena: Arena[RedisStore]) -> None:
    with arena.worker("--processes", "2", "--concurrency", "4"), SteadySender(arena) as sender:
        sender.wait_accepted(20)
        for _ in range(30):
            cut = arena.store.proxy.drop_replies(b"EVALSHA")
            wait_until(cut.is_set, "a lost answer")
        sender.wait_accepted(50)
        sender.stop()
        sender.check()
