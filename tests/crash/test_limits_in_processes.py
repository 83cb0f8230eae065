"""Limits hold for all processes together, and a killed one takes no slot with it."""

import math
from collections.abc import Iterable

import pytest
from arena import Arena, Ledger
from crash_support import on_every_coordinator, on_sqlite
from support.processes import running

pytestmark = pytest.mark.crash

PROCESSES = ("--processes", "4")
APP = "limits_app:broker"


def most_at_once(ledger: Ledger, keys: Iterable[str]) -> int:
    """How many of these ran at the same time; what ends and what begins in one millisecond did not."""
    running = most = 0
    for _, step in sorted(step for key in keys for step in steps_of(ledger, key)):
        running += step
        most = max(most, running)
    return most


def steps_of(ledger: Ledger, key: str) -> Iterable[tuple[float, int]]:
    """Its starts and ends. A run that was killed beside another's death wrote no end: it has ended when the next one starts."""
    starts, ends = ([at for at, _ in rows[key]] for rows in (ledger.starts, ledger.ends))
    for start, following in zip(starts, [*starts[1:], math.inf], strict=True):
        yield start, 1
        yield min((end for end in ends if start <= end <= following), default=following), -1


def keys_of(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@on_every_coordinator
def test_never_more_at_once_in_four_processes(arena: Arena) -> None:
    keys = keys_of("few", 80)
    ids = arena.send("few", *((key, 0.1) for key in keys))
    with arena.worker(*PROCESSES, app=APP):
        free = arena.send("quick", ("free",))
        assert arena.results(free)[0].return_value == "free"
        arena.results(ids, timeout=60)
        arena.wait_empty()
    ledger = arena.ledger()
    ledger.hold(keys)
    assert most_at_once(ledger, keys) == 10
    assert len({pid for key in keys for pid in ledger.pids(key)}) > 1


@on_sqlite
def test_several_limits_of_one_task_and_one_of_several(arena: Arena) -> None:
    mine, theirs = {kind: keys_of(kind, 8) for kind in "ab"}, keys_of("aside", 8)
    for kind, keys in mine.items():
        arena.send("few_of_a_kind", *((key, 0.05, kind) for key in keys))
    arena.send("few_aside", *((key, 0.05) for key in theirs))
    everything = [*mine["a"], *mine["b"], *theirs]
    with arena.worker(*PROCESSES, app=APP):
        arena.wait_ends(everything, timeout=60)
        arena.wait_empty()
    ledger = arena.ledger()
    ledger.hold(everything)
    assert most_at_once(ledger, everything) <= 3
    assert max(most_at_once(ledger, keys) for keys in mine.values()) <= 2


@on_every_coordinator
def test_starts_keep_their_distance_in_four_processes(arena: Arena) -> None:
    keys = keys_of("paced", 90)
    ids = arena.send("paced", *((key,) for key in keys))
    with arena.worker(*PROCESSES, app=APP):
        arena.results(ids, timeout=60)
        arena.wait_empty()
    ledger = arena.ledger()
    ledger.hold(keys)
    starts = sorted(ledger.starts[key][0][0] for key in keys)
    # The limit is that of the permits; how long a process takes from its permit to the first line of a task is its machine's.
    assert min(later - start for start, later in zip(starts, starts[30:], strict=False)) > 0.9


@on_every_coordinator
def test_slots_of_killed_workers_come_back(arena: Arena) -> None:
    keys = keys_of("deadly", 6)
    arena.send("deadly_once", *((key,) for key in keys))
    with arena.worker("--processes", "2", app=APP):
        arena.wait_ends(keys, timeout=60)
        arena.wait_empty()
    ledger = arena.ledger()
    assert most_at_once(ledger, keys) <= 2
    assert min(len(ledger.starts[key]) for key in keys) == 2  # a bystander of a death begins once more


@on_sqlite
def test_a_worker_that_stops_gives_its_slots_up(arena: Arena) -> None:
    arena.lease = 60.0
    arena.send("alone", ("first", 60.0))
    with arena.worker(app=APP, grace=0.5) as worker:
        arena.wait_start("first")
        with arena.worker(app=APP):
            worker.stop(20)
            arena.wait_start("first", count=2)


@on_sqlite
def test_limits_change_while_processes_work(arena: Arena) -> None:
    keys = keys_of("alone", 12)
    arena.send("alone", *((key, 1.0) for key in keys))

    with arena.worker(*PROCESSES, app=APP):
        arena.wait_start("alone0")
        with running("taskiq", "limits", "set", APP, "alone", "6", cwd=arena.path, env=arena.env) as command:
            assert command.wait() == 0, command.report
        arena.wait_ends(keys, timeout=60)
    assert 2 <= most_at_once(arena.ledger(), keys) <= 6
