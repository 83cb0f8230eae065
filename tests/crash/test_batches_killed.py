"""SIGKILL of a worker that runs batches: every message runs to its end, and one that kills is found."""

import pytest
from arena import Arena
from crash_support import on_sqlite

from taskiq_core.exceptions import WorkerDiedError

pytestmark = pytest.mark.crash

APP = "crash_batches:broker"
POINTS = [("sqlite", "function:3"), ("sqlite", "before_settle:3"), ("redis", "before_settle:3"), ("redis", "after_settle:3")]
"""A batch is settled in pieces of a hundred at once, which is the store's; what happens before is the worker's."""


@pytest.mark.parametrize(("arena", "point"), POINTS, indirect=["arena"])
def test_every_message_of_a_thousand_runs_to_its_end(arena: Arena, point: str) -> None:
    keys = [f"k{number}" for number in range(1000)]
    arena.extra["CRASH_AT"] = point
    ids = arena.send("together", *((key,) for key in keys))
    with arena.worker("--processes", "2", "--concurrency", "4", app=APP):
        arena.wait_ends(keys)
        assert [result.return_value for result in arena.results(ids)] == keys
        arena.wait_empty()
    assert arena.killed is not None
    ledger = arena.ledger()
    ledger.hold(keys, killed=arena.killed)
    assert max(int(size) for size in ledger.ends if not size.startswith("k")) == 100


@on_sqlite
def test_one_message_that_kills_its_worker_is_found_and_the_others_of_its_batch_are_well(arena: Arena) -> None:
    keys = [f"k{number}" for number in range(9)]
    ids = arena.send("bitter", *((key,) for key in [*keys[:5], "pill", *keys[5:]]))
    with arena.worker("--processes", "2", "--concurrency", "4", app=APP):
        arena.wait_ends(keys)
        results = dict(zip([*keys[:5], "pill", *keys[5:]], arena.results(ids, timeout=60), strict=True))
        arena.wait_empty()
    assert isinstance(results.pop("pill").error, WorkerDiedError)
    assert [result.return_value for result in results.values()] == keys
