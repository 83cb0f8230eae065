"""A server killed, and started again after a while: everybody carries on, and nothing that it had answered for is lost (G4).

A worker that leaves meanwhile is a busy one: an idle one has less to say to the server, and the harder time in a black hole.
"""

import time

import pytest
from arena import GRACE, Arena
from crash_support import LEAVES_WITHIN, on_servers, stop_in_time
from server_stores import ServerStore
from steady_sender import SteadySender
from support.processes import children_of

pytestmark = [pytest.mark.crash, on_servers]

AWAY = 3.0
"""Seconds, longer than the lease: who was cut off must not be taken for dead."""


def test_under_load(arena: Arena[ServerStore]) -> None:
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor, SteadySender(arena) as sender:
        sender.wait_accepted(50)
        workers = children_of(supervisor.pid)
        arena.store.server.kill()
        time.sleep(AWAY)
        arena.store.server.start()
        sender.wait_accepted(50)
        sender.stop()
        sender.check()
        assert children_of(supervisor.pid) == workers


def test_while_idle(arena: Arena[ServerStore]) -> None:
    with arena.worker() as supervisor:
        arena.results(arena.send("quick", ("before",)))
        workers = children_of(supervisor.pid)
        arena.store.server.kill()
        time.sleep(AWAY)
        arena.store.server.start()
        arena.results(arena.send("quick", ("after",)))
        arena.wait_empty()
        assert children_of(supervisor.pid) == workers
    arena.ledger().hold(["before", "after"])


def test_a_worker_leaves_in_time_while_it_is_down(arena: Arena[ServerStore]) -> None:
    arena.send("nap", ("first", 1.0))
    with arena.worker() as process:
        arena.wait_start("first")
        arena.store.server.kill()
        begun = time.monotonic()
        stop_in_time(process)
        assert time.monotonic() - begun < GRACE + LEAVES_WITHIN
    arena.store.server.start()
    with arena.worker():
        arena.wait_ends(["first"])
        arena.wait_empty()
