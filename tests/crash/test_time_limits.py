"""A time limit stops async tasks and processes; a thread goes on, and is reported, but its place is free (G10)."""

import pytest
from arena import Arena, is_alive, wait_until
from crash_support import on_sqlite

pytestmark = [pytest.mark.crash, on_sqlite]  # the worker alone keeps them


def test_an_async_task_is_cancelled(arena: Arena) -> None:
    ids = arena.send("limited_nap", ("a",), ("b",))
    with arena.worker("--concurrency", "1"):
        errors = [result.error for result in arena.results(ids)]
    assert [type(error) for error in errors] == [TimeoutError, TimeoutError]
    assert "0.3 s" in str(errors[0])
    assert not arena.ledger().ends


def test_a_process_is_killed(arena: Arena) -> None:
    ids = arena.send("limited_process", ("a",))
    with arena.worker("--concurrency", "1"):
        pid = arena.wait_start("a")
        (result,) = arena.results(ids)
        assert isinstance(result.error, TimeoutError)
        assert "killed" in str(result.error)
        wait_until(lambda: not is_alive(pid), "the end of the process")
        assert arena.results(arena.send("aside", ("b", 0.0)))[0].return_value == "b"
    assert not arena.ledger().ends.get("a")


def test_a_thread_runs_on_is_reported_and_its_slot_is_free(arena: Arena) -> None:
    ids = arena.send("limited_thread", ("a", 3.0), ("b", 3.0))
    with arena.worker("--concurrency", "2") as worker:
        assert [type(result.error) for result in arena.results(ids)] == [TimeoutError, TimeoutError]
        assert arena.results(arena.send("sync_nap", ("c", 0.0), ("d", 0.0)))[1].return_value == "d"
        assert not arena.ledger().ends.get("a")
        worker.wait_for_line("limited_thread.*runs on; 2 such threads now")
        worker.wait_for_line("runaway thread of task limited_thread has ended; 0 left")
    arena.ledger().hold(["a", "b", "c", "d"])


def test_a_runaway_thread_does_not_keep_its_worker_from_leaving(arena: Arena) -> None:
    ids = arena.send("limited_thread", ("a", 600.0))
    with arena.worker("--concurrency", "1", grace=30) as worker:
        arena.results(ids)
        assert worker.stop(10) == 0
