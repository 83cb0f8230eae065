"""Tasks that are cancelled from another process than the one that has them."""

from collections.abc import Sequence

import anyio
import pytest
from arena import Arena, is_alive, wait_until
from crash_support import on_every_coordinator, on_sqlite
from support.processes import running

from taskiq_core import TaskCancelledError, TaskiqResult
from taskiq_core.abc.sender import Cancelled
from taskiq_core.cancel_marks import LIVES, new_marks

pytestmark = pytest.mark.crash

APP = "crash_cancelling:broker"


def cancel(arena: Arena, ids: Sequence[str], reason: str = "user") -> set[Cancelled]:
    async def ask() -> set[Cancelled]:
        async with arena.client() as broker:
            return set((await broker.tasks.cancel(ids, reason=reason)).values())

    return anyio.run(ask)


def only_mark(arena: Arena, ids: Sequence[str], reason: str) -> None:
    """What is left of a canceller that is killed before it takes the messages out of their queue."""

    async def put() -> None:
        async with arena.client() as broker:
            assert broker.coordinator is not None
            await broker.coordinator.put(new_marks(ids, reason), LIVES)

    anyio.run(put)


def hold(results: Sequence[TaskiqResult[object]], reason: str = "user") -> None:
    for result in results:
        assert isinstance(result.error, TaskCancelledError)
        assert result.error.reason == reason


def goes_on(arena: Arena) -> None:
    """The worker's only slot works."""
    assert arena.results(arena.send("quick", ("after",)))[0].return_value == "after"
    arena.wait_empty()


@on_every_coordinator
def test_an_async_task(arena: Arena) -> None:
    ids = arena.send("waits", ("a",))
    with arena.worker("--concurrency", "1", app=APP) as worker:
        arena.wait_start("a")
        assert cancel(arena, ids) == {"requested"}
        hold(arena.results(ids))
        arena.wait_ends(["a tidied"])
        worker.wait_for_line("is cancelled: user")
        goes_on(arena)
        assert cancel(arena, ids, "too late") == {"finished"}
        hold(arena.results(ids))


@on_sqlite
def test_a_thread(arena: Arena) -> None:
    ids = arena.send("listens", ("a",))
    with arena.worker("--concurrency", "1", app=APP):
        arena.wait_start("a")
        assert cancel(arena, ids) == {"requested"}
        hold(arena.results(ids))
        goes_on(arena)
    assert arena.ledger().ends["a True user"]


@on_sqlite
def test_a_process_is_dead_with_what_it_has_started(arena: Arena) -> None:
    ids = arena.send("in_process", ("a",))
    with arena.worker("--concurrency", "1", app=APP):
        pid = arena.wait_start("a")
        (child,) = [int(key.split()[1]) for key in arena.ledger().starts if key.startswith("a ")]
        assert is_alive(pid)
        assert is_alive(child)
        assert cancel(arena, ids) == {"requested"}
        hold(arena.results(ids))
        wait_until(lambda: not is_alive(pid) and not is_alive(child), "the end of the process")
        goes_on(arena)


def test_a_retry_that_waits(arena: Arena) -> None:
    ids = arena.send("comes_back", ("a",))
    with arena.worker(app=APP):
        wait_until(lambda: arena.depth().delayed == 1, "a retry that waits")
        assert cancel(arena, ids) == {"removed"}
        hold(arena.results(ids))
        goes_on(arena)


@on_every_coordinator
def test_a_thousand_that_wait_and_some_that_run(arena: Arena) -> None:
    running_ids = arena.send("waits", *((f"r{n}",) for n in range(4)))
    with arena.worker("--concurrency", "2", "--prefetch", "0", "--processes", "2", app=APP):
        for n in range(4):
            arena.wait_start(f"r{n}")
        ids = arena.send("quick", *((f"k{n}",) for n in range(1000)))
        assert cancel(arena, ids) == {"removed"}
        hold(arena.results(ids))
        assert arena.depth().ready == 0
        assert cancel(arena, running_ids) == {"requested"}
        hold(arena.results(running_ids))
        goes_on(arena)
    assert not [key for key in arena.ledger().starts if key.startswith("k")]


def test_a_canceller_that_dies_before_it_has_emptied_the_queue(arena: Arena) -> None:
    ids = arena.send("quick", *((f"k{n}",) for n in range(50)))
    only_mark(arena, ids[::2], "half of them")
    with arena.worker("--processes", "2", app=APP):
        results = arena.results(ids)
        arena.wait_empty()
    hold(results[::2], "half of them")
    assert [result.return_value for result in results[1::2]] == [f"k{n}" for n in range(1, 50, 2)]
    assert sorted(arena.ledger().starts) == sorted(f"k{n}" for n in range(1, 50, 2))


@on_sqlite
def test_from_the_command_line(arena: Arena) -> None:
    (waiting,) = arena.send("quick", ("a",))
    command = ("taskiq", "tasks", "cancel", APP, waiting, "nobody", "--reason", "by hand")
    with running(*command, cwd=arena.path, env=arena.env) as process:
        assert process.wait() == 0, process.report
        assert process.lines == [f"{waiting}  removed", "nobody  requested"]
    hold(arena.results([waiting]), "by hand")
