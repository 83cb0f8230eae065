"""The result store out of reach for a while as tasks finish (G7, and G4 for a broker that is a file)."""

import pytest
from arena import Arena, is_alive
from crash_stores import SQLiteStore, locked_for
from crash_support import on_sqlite
from support.processes import children_of

pytestmark = [pytest.mark.crash, on_sqlite]

KEYS = [f"k{number}" for number in range(100)]
AFTER = [f"after{number}" for number in range(20)]
AWAY = 5.0


@pytest.mark.parametrize("apart", [False, True], ids=["one file", "two files"])
def test_every_result_is_there_afterwards_and_none_ran_twice(arena: Arena[SQLiteStore], apart: bool) -> None:
    arena.lease = 30.0
    if apart:
        arena.store.part()
    with arena.worker("--concurrency", "8", grace=5) as supervisor:
        ids = arena.send("nap", *((key, 0.1) for key in KEYS))
        arena.wait_start(KEYS[20])
        workers = children_of(supervisor.pid)
        with locked_for(arena.store.results_db, AWAY):
            if apart:  # sending does not touch the result store
                ids += arena.send("quick", *((key,) for key in AFTER[:10]))
        ids += arena.send("quick", *((key,) for key in AFTER[10 if apart else 0 :]))
        results = arena.results(ids)
        arena.wait_empty()
        assert children_of(supervisor.pid) == workers
        assert all(map(is_alive, workers))
    assert [result.return_value for result in results] == KEYS + AFTER
    arena.ledger().hold(KEYS + AFTER)


def test_a_lock_longer_than_the_lease_makes_nobody_run_twice(arena: Arena[SQLiteStore]) -> None:
    """Nobody can renew a lease in a locked file, and nobody can take one over: a worker that lives keeps what it holds."""
    arena.lease = 2.0
    keys = KEYS[:20]
    with arena.worker("--concurrency", "8", "--processes", "2", grace=5):
        ids = arena.send("nap", *((key, 0.5) for key in keys))
        arena.wait_start(keys[4])
        with locked_for(arena.store.db, 4.0):
            arena.wait_ledger(lambda ledger: len(ledger.ends) >= 8, "tasks that end while the file is locked")
        assert [result.return_value for result in arena.results(ids)] == keys
        arena.wait_empty()
    arena.ledger().hold(keys)
