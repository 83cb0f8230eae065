"""SIGTERM: finish what runs within the grace, give back the rest at once, and leave in time whatever happens (G3).

What is finished within the grace runs once, and in one place, though its lease is shorter than that (G2).
"""

import signal
import time

import pytest
from arena import GRACE, Arena
from crash_stores import locked
from crash_support import LEAVES_WITHIN, kinds_of_task, on_every_store, on_sqlite, stop_in_time

pytestmark = pytest.mark.crash

KEYS = [f"k{number}" for number in range(150)]


@on_every_store
def test_in_mid_load_nothing_is_lost_and_nothing_runs_twice(arena: Arena) -> None:
    ids = arena.send("nap", *((key, 0.05) for key in KEYS))
    with arena.worker("--processes", "2", "--concurrency", "4") as first:
        arena.wait_start(KEYS[50])
        with arena.worker("--processes", "2", "--concurrency", "4"):
            stop_in_time(first)
            assert first.returncode == 0
            arena.wait_ends(KEYS)
            arena.wait_empty()
    arena.ledger().hold(KEYS)
    assert [result.return_value for result in arena.results(ids)] == KEYS


@kinds_of_task("nap", "hog", sqlite=("sync_nap", "aside"))
def test_a_long_task_finishes_if_it_can_within_the_grace(arena: Arena, task: str) -> None:
    arena.lease = 1.0  # ends during the drain, were it not renewed
    ids = arena.send(task, ("long", 2.5))
    with arena.worker(grace=8) as first:
        arena.wait_start("long")
        with arena.worker():
            first.stop(10)
            arena.wait_ends(["long"])
            arena.wait_empty()
    arena.ledger().hold(["long"])
    assert arena.results(ids)[0].return_value == "long"


@kinds_of_task("nap", "hog", sqlite=("sync_nap", "aside"))
def test_a_longer_one_is_given_back_and_runs_elsewhere(arena: Arena, task: str) -> None:
    arena.lease = 60.0 if task != "hog" else 2.0  # who blocks the event loop cannot give anything back
    ids = arena.send(task, ("longer", 2.0 if task == "nap" else 3.0))  # what nobody can cut off takes longer than the stop
    with arena.worker(grace=0.5) as first:
        arena.wait_start("longer")
        stop_in_time(first, 0.5)
        assert not arena.survivors()
    with arena.worker(grace=10):
        ledger = arena.wait_ends(["longer"], timeout=20)
    assert len(ledger.starts["longer"]) == 2
    assert len(ledger.ends["longer"]) == 1
    assert arena.results(ids)[0].return_value == "longer"


@on_every_store
def test_an_idle_worker_leaves_at_once(arena: Arena) -> None:
    ids = arena.send("quick", ("before",))
    with arena.worker("--processes", "2", grace=30) as process:
        arena.results(ids)
        assert process.stop(10) == 0


@on_sqlite
@pytest.mark.parametrize("busy", [False, True])
def test_while_the_database_is_locked_by_another_program(arena: Arena, busy: bool) -> None:
    arena.send("nap" if busy else "quick", ("first", *([1.0] if busy else [])))
    with arena.worker() as process:
        arena.wait_start("first")
        if not busy:
            arena.wait_ends(["first"])
        with locked(arena.store.db):
            begun = time.monotonic()
            stop_in_time(process)
            if not busy:
                assert time.monotonic() - begun < GRACE + LEAVES_WITHIN
    with arena.worker():
        arena.wait_ends(["first"])
        arena.wait_empty()


@on_sqlite
def test_a_worker_in_a_program_of_its_own_leaves_in_time_while_the_database_is_locked(arena: Arena) -> None:
    program = """
import anyio, crash_app, signal
from taskiq_core import Worker, WorkerSettings
worker = Worker(crash_app.broker, WorkerSettings(grace=1.0))
async def stop_on_signal(scope):
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            worker.stop()
async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(stop_on_signal, group.cancel_scope)
        await worker.run()
        print("left", flush=True)
        group.cancel_scope.cancel()
anyio.run(main)
"""
    arena.send("nap", ("long", 60.0))
    with arena.script(program) as process:
        arena.wait_start("long")
        with locked(arena.store.db):
            process.send_signal(signal.SIGTERM)
            process.wait_for_line("^left$", timeout=1.0 + LEAVES_WITHIN)
            assert process.wait() == 0
