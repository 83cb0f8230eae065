"""Tasks that kill their process: quarantined, dead-lettered with the reason, and nobody beside them suffers (G5).

Every store takes part in one kind of death. How the process ends, and which of its threads does it, is told by the supervisor
alone, so one store is enough for the other kinds.
"""

import pytest
from arena import Arena
from crash_support import EVERYWHERE, on_every_store, on_sqlite

from taskiq_core.exceptions import WorkerDiedError

pytestmark = pytest.mark.crash

MOST_STARTS = 4
"""One among others, and three alone."""

KEYS = [f"k{number}" for number in range(40)]
AFTER = [f"after{number}" for number in range(20)]


HOW = {"exit": "exit status 7", "kill": "signal 9"}
CASES = [(store, "pill", "exit") for store in EVERYWHERE] + [("sqlite", "pill", "kill"), ("sqlite", "sync_pill", "exit")]


@pytest.mark.parametrize(("arena", "task", "kind"), CASES, indirect=["arena"])
def test_a_pill_among_bystanders(arena: Arena, task: str, kind: str) -> None:
    ids = arena.send("nap", *((key, 0.02) for key in KEYS[:20]))
    (pill,) = arena.send(task, ("pill", kind))
    ids += arena.send("sync_nap", *((key, 0.02) for key in KEYS[20:]))
    with arena.worker("--concurrency", "8"):
        (result,) = arena.results([pill])
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.send("quick", *((key,) for key in AFTER))
        arena.wait_ends(AFTER)
        arena.wait_empty()
    assert isinstance(result.error, WorkerDiedError)
    assert HOW[kind] in str(result.error)
    (letter,) = arena.dead_letters()
    assert letter.reason == str(result.error)
    ledger = arena.ledger()
    assert 1 < len(ledger.starts["pill"]) <= MOST_STARTS
    assert ledger.lost(KEYS) == []
    # Where nobody tells who was on a CPU, a pill strikes once more among others before it is suspected.
    most = 2 if arena.store.buries else 3
    assert all(len(rows) <= most for key, rows in ledger.doubled().items() if key != "pill")


def test_many_pills_at_once(arena: Arena) -> None:
    """One dies; the others look like bystanders then, for which being there twice is what makes them suspects."""
    pills = [f"pill{number}" for number in range(4)]
    ids = arena.send("nap", *((key, 0.05) for key in KEYS))
    fatal = arena.send("pill", *((pill, "exit") for pill in pills))
    with arena.worker("--concurrency", "8", "--processes", "2"):
        errors = [result.error for result in arena.results(fatal, timeout=60)]
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.wait_empty()
    assert [type(error) for error in errors] == [WorkerDiedError] * len(pills)
    assert len(arena.dead_letters()) == len(pills)
    ledger = arena.ledger()
    assert ledger.lost(KEYS) == []
    starts = {pill: len(ledger.starts[pill]) for pill in pills}
    assert max(starts.values()) <= MOST_STARTS + 1, starts


@on_sqlite
def test_a_pill_of_a_module_without_a_broker(arena: Arena) -> None:
    (pill,) = arena.send("routed_pill", ("pill",))
    with arena.worker():
        (result,) = arena.results([pill])
        arena.wait_empty()
    assert isinstance(result.error, WorkerDiedError)
    assert len(arena.ledger().starts["pill"]) <= MOST_STARTS


@on_sqlite
def test_a_bystander_of_a_module_without_a_broker(arena: Arena) -> None:
    """It was on a CPU when the pill struck, so that it is suspected, and must stand the trial."""
    (bystander,) = arena.send("routed_nap", ("beside", 1.0))
    with arena.worker():
        arena.wait_start("beside")
        (pill,) = arena.send("pill", ("pill", "exit"))
        arena.results([pill])
        (result,) = arena.results([bystander])
    assert result.return_value == "beside", result.error


@on_sqlite
def test_a_pill_made_by_a_function(arena: Arena) -> None:
    """No other process can import such a task by its name alone."""
    (arena.path / "factory_app.py").write_text(
        "import os\nimport crash_app\n"
        "def make():\n"
        "    broker = crash_app.make_broker()\n"
        "    @broker.task('made_pill')\n"
        "    def made_pill(key: str) -> None:\n"
        "        crash_app.note('start', key)\n"
        "        os._exit(7)\n"
        "    @broker.task('made_aside', executor='process')\n"
        "    def made_aside(key: str) -> str:\n"
        "        return key\n"
        "    return broker\n"
    )
    ids = arena.send("made_aside", ("aside",)) + arena.send("made_pill", ("pill",))
    with arena.worker(app="factory_app:make"):
        assert arena.results(ids[:1])[0].return_value == "aside"
        (result,) = arena.results(ids[1:])
        arena.wait_empty()
    assert isinstance(result.error, WorkerDiedError)
    assert len(arena.ledger().starts["pill"]) <= MOST_STARTS
    assert len(arena.dead_letters()) == 1


@on_every_store
def test_a_pill_for_workers_without_a_supervisor(arena: Arena) -> None:
    """Nobody keeps a flight recorder there: leases end, and deaths among others add up to a suspicion."""
    program = """
import anyio, crash_app
from taskiq_core import Worker, WorkerSettings
anyio.run(Worker(crash_app.broker, WorkerSettings(concurrency=8)).run)
"""
    (pill,) = arena.send("pill", ("pill", "exit"))
    ids = arena.send("nap", *((key, 0.02) for key in KEYS))
    for _ in range(2):
        with arena.script(program) as process:
            assert process.wait() == 7
    with arena.script(program):
        (result,) = arena.results([pill])
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.wait_empty()
    assert isinstance(result.error, WorkerDiedError)
    assert len(arena.ledger().starts["pill"]) <= MOST_STARTS + 1
