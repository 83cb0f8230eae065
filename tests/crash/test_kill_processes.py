"""SIGKILL of worker processes, of the supervisor, of everything (G1)."""

import os
import signal
import time

import pytest
from arena import GRACE, LEASE, Arena, is_alive, wait_until
from crash_support import on_every_store, on_sqlite
from support.processes import children_of

pytestmark = pytest.mark.crash

BACK_WITHIN = 1.25 * LEASE + 1
"""Seconds until an orphan has begun again, with no other traffic."""

KEYS = [f"k{number}" for number in range(200)]

UNSUPERVISED = """
import anyio, crash_app
from taskiq_core import Worker, WorkerSettings
anyio.run(Worker(crash_app.broker, WorkerSettings(concurrency=8)).run)
"""


@on_every_store
def test_one_of_two_workers_killed_under_load(arena: Arena) -> None:
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor:
        ids = arena.send("nap", *((key, 0.03) for key in KEYS))
        victim = arena.wait_start(KEYS[40])
        os.kill(victim, signal.SIGKILL)
        arena.wait_ends(KEYS)
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.wait_empty()
        assert len(wait_until(lambda: len(found := children_of(supervisor.pid)) == 2 and found, "a replacement")) == 2
    arena.ledger().hold(KEYS, killed=victim)


@on_sqlite
def test_the_only_worker_killed_twice_under_load(arena: Arena) -> None:
    victims: list[int] = []
    with arena.worker("--concurrency", "4"):
        arena.send("nap", *((key, 0.03) for key in KEYS))
        for key in (KEYS[40], KEYS[120]):
            victims.append(arena.wait_start(key))
            os.kill(victims[-1], signal.SIGKILL)
            wait_until(lambda: not is_alive(victims[-1]), "the death of the worker")
        arena.wait_ends(KEYS)
        arena.wait_empty()
    for key, rows in arena.ledger().doubled().items():
        assert set(arena.ledger().pids(key)[:-1]) <= set(victims), (key, rows)


@on_every_store
def test_everything_killed_and_started_again(arena: Arena) -> None:
    arena.send("nap", *((key, 0.03) for key in KEYS))
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor:
        arena.wait_start(KEYS[60])
        pids = [supervisor.pid, *children_of(supervisor.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # else the supervisor might start another one in between
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        supervisor.wait()
    assert arena.ledger().lost(KEYS)
    with arena.worker("--processes", "2", "--concurrency", "4"):
        ledger = arena.wait_ends(KEYS)
        arena.wait_empty()
    for key, rows in ledger.doubled().items():
        assert len(rows) == 2, key
        assert rows[0][1] in pids, key


@on_sqlite
def test_workers_of_a_killed_supervisor_finish_and_leave(arena: Arena) -> None:
    arena.send("nap", *((key, 0.05) for key in KEYS))
    arena.send("nap", ("long", GRACE + 60))
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor:
        arena.wait_start(KEYS[20])
        workers = children_of(supervisor.pid)
        supervisor.send_signal(signal.SIGKILL)
        supervisor.wait()
        wait_until(lambda: not any(map(is_alive, workers)), "the end of the workers", GRACE + 5)
        assert not arena.survivors()
    assert not arena.ledger().doubled()
    with arena.worker("--processes", "2", "--concurrency", "4"):
        arena.wait_ends(KEYS)
    assert not arena.ledger().hold(KEYS)


@on_every_store
def test_an_idle_worker_takes_orphans_of_a_worker_without_supervisor(arena: Arena) -> None:
    ids = arena.send("nap", ("orphan", 1.5))
    with arena.script(UNSUPERVISED) as first, arena.script(UNSUPERVISED) as second:
        victim = arena.wait_start("orphan")
        process, other = (first, second) if victim == first.pid else (second, first)
        process.send_signal(signal.SIGKILL)
        killed_at = time.time()
        ledger = arena.wait_ends(["orphan"])
        assert ledger.pids("orphan") == [victim, other.pid]
        assert ledger.starts["orphan"][1][0] - killed_at <= BACK_WITHIN
        assert arena.results(ids)[0].return_value == "orphan"


@on_every_store
def test_a_worker_that_stood_still_for_longer_than_its_lease_goes_on(arena: Arena) -> None:
    """What it held runs elsewhere meanwhile; what it still does with that when it wakes up does no harm."""
    keys = KEYS[:60]
    ids = arena.send("nap", *((key, 0.1) for key in keys))
    with arena.worker("--processes", "2", "--concurrency", "4") as supervisor:
        sleeper = arena.wait_start(keys[10])
        os.kill(sleeper, signal.SIGSTOP)
        try:
            arena.wait_ends(keys)
            arena.wait_empty()
        finally:
            os.kill(sleeper, signal.SIGCONT)
        ids += arena.send("nap", *((key, 0.1) for key in KEYS[60:]))
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.wait_empty()
        assert sleeper in children_of(supervisor.pid)
    arena.ledger().hold(KEYS, killed=sleeper)
    assert not arena.dead_letters()


def test_the_supervisor_brings_orphans_back_long_before_their_lease_ends(arena: Arena) -> None:
    arena.lease = 60.0
    arena.send("nap", ("orphan", 1.0))
    arena.send("sync_nap", ("sync orphan", 1.0))
    with arena.worker():
        victim = arena.wait_start("orphan")
        assert arena.wait_start("sync orphan") == victim
        os.kill(victim, signal.SIGKILL)
        arena.wait_ends(["orphan", "sync orphan"], timeout=20)
    arena.ledger().hold(["orphan", "sync orphan"], killed=victim)


@on_sqlite
def test_a_process_task_dies_with_its_worker_and_runs_again(arena: Arena) -> None:
    arena.send("aside", ("beside", 2.0))
    with arena.worker() as supervisor:
        sandbox = arena.wait_start("beside")
        (worker,) = children_of(supervisor.pid)
        assert sandbox in children_of(worker)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not is_alive(sandbox), "the death of the task's process")
        ledger = arena.wait_ends(["beside"])
        assert [pid for _, pid in ledger.ends["beside"]] != [sandbox]
        arena.wait_empty()
    arena.ledger().hold(["beside"], killed=sandbox)
