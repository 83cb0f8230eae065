"""A task that takes longer than the lease runs once, and in one place (G2); while its worker drains too: see SIGTERM."""

import pytest
from arena import Arena
from crash_support import kinds_of_task

pytestmark = pytest.mark.crash


@kinds_of_task("nap", "hog", sqlite=("sync_nap", "aside"))
def test_with_an_idle_worker_beside_it(arena: Arena, task: str) -> None:
    arena.lease = 1.0
    ids = arena.send(task, ("long", 2.5))
    with arena.worker() as first, arena.worker():
        arena.wait_ends(["long"])
        assert arena.results(ids)[0].return_value == "long"
        arena.wait_empty()
        assert "given to another worker" not in first.output
    arena.ledger().hold(["long"])


def test_messages_that_wait_behind_it_are_not_taken_away(arena: Arena) -> None:
    arena.lease = 1.0
    keys = ["long", *(f"k{n}" for n in range(10))]
    arena.send("hog", ("long", 2.5))
    arena.send("quick", *((key,) for key in keys[1:]))
    with arena.worker("--concurrency", "1", "--prefetch", "20"):
        arena.wait_start("long")
        with arena.worker():
            arena.wait_ends(keys)
            arena.wait_empty()
    arena.ledger().hold(keys)
