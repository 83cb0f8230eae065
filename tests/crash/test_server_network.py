"""A network that resets, stalls or swallows: everybody carries on when it is good again, and nothing runs twice (G4)."""

import time

import pytest
from arena import Arena
from crash_support import on_servers, stop_in_time
from server_stores import ServerStore
from steady_sender import SteadySender
from support.processes import children_of

pytestmark = [pytest.mark.crash, on_servers]

TROUBLE = 6.0
"""Seconds of a stall, and of a black hole; longer than the lease."""


def test_connections_reset_again_and_again(arena: Arena[ServerStore]) -> None:
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor, SteadySender(arena) as sender:
        sender.wait_accepted(20)
        workers = children_of(supervisor.pid)
        for _ in range(8):
            arena.store.proxy.reset()
            sender.wait_accepted(10)
        sender.stop()
        sender.check()
        assert children_of(supervisor.pid) == workers


@pytest.mark.parametrize("trouble", ["stall", "black_hole"])
def test_nothing_gets_through_for_a_while(arena: Arena[ServerStore], trouble: str) -> None:
    """After the black hole the network is good, but every connection of before is dead without anybody knowing."""
    arena.lease = 4.0  # with one much shorter than the trouble, the end of the others' leases may come before our settlements
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor, SteadySender(arena) as sender:
        sender.wait_accepted(50)
        workers = children_of(supervisor.pid)
        getattr(arena.store.proxy, trouble)()
        time.sleep(TROUBLE)
        arena.store.proxy.resume()
        sender.wait_accepted(50)
        sender.stop()
        sender.check()
        assert children_of(supervisor.pid) == workers


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_worker_leaves_in_time_while_nothing_gets_through(arena: Arena[ServerStore], busy: bool) -> None:
    arena.send("nap" if busy else "quick", ("first", *([1.0] if busy else [])))
    with arena.worker() as process:
        arena.wait_start("first")
        if not busy:
            arena.wait_ends(["first"])
            arena.wait_empty()
        arena.store.proxy.black_hole()
        stop_in_time(process)
        arena.store.proxy.resume()
    with arena.worker():
        arena.wait_ends(["first"])
        arena.wait_empty()
