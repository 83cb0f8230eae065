"""Unique tasks among several processes: races, retries, and SIGKILL of workers and senders."""

import os
import signal
from contextlib import ExitStack
from typing import Any

import pytest
from arena import Arena, wait_until
from crash_support import on_every_coordinator, on_sqlite
from support.processes import RunningProcess

pytestmark = pytest.mark.crash

APP = "crash_unique:broker"
PROCESSES = 4
SENDERS = 13
"""Of each process."""


def race(arena: Arena[Any], kind: str, *args: str) -> list[tuple[str, str]]:
    """Outcomes and task ids of 52 sends at once from 4 processes."""
    with ExitStack() as stack:
        racing: list[RunningProcess] = []
        for number in range(PROCESSES):
            own = [word.format(number=number) for word in args]
            code = f"import anyio, crash_unique; anyio.run(crash_unique.race, {kind!r}, {SENDERS}, *{own!r})"
            racing.append(stack.enter_context(arena.script(code)))
        for process in racing:
            process.wait_for_line("^ready$")
        (arena.path / "go").touch()
        for process in racing:
            process.wait_for_line("^done$")
        lines = [line.split() for process in racing for line in process.lines]
    return [(words[0], words[1]) for words in lines if words and words[0] in ("queued", "duplicate")]


def outcome_of(arena: Arena[Any], task: str, *args: str) -> str:
    """Send once more, from a process that has the task's code."""
    code = "import anyio, crash_unique\nasync def main():\n    async with crash_unique.broker:\n"
    code += f"        print('outcome', (await crash_unique.{task}.kiq(*{args!r})).outcome, flush=True)\nanyio.run(main)"
    with arena.script(code) as process:
        return process.wait_for_line("^outcome ").split()[1]


@pytest.mark.parametrize(("kind", "args"), [("single", ["race", "0"]), ("idempotent", ["race"])])
@on_every_coordinator
def test_of_many_senders_in_four_processes_one_makes_the_task(arena: Arena[Any], kind: str, args: list[str]) -> None:
    sends = race(arena, kind, *args)
    assert sorted(outcome for outcome, _ in sends) == ["duplicate"] * (PROCESSES * SENDERS - 1) + ["queued"]
    assert len({task_id for _, task_id in sends}) == 1
    assert arena.depth().ready == 1
    with arena.worker(app=APP):
        ledger = arena.wait_ends(["race"])
        arena.wait_empty()
    assert len(ledger.starts["race"]) == 1


@on_every_coordinator
def test_debounced_in_four_processes_runs_once(arena: Arena[Any]) -> None:
    sends = race(arena, "debounced", "race", "from-{number}")
    assert [outcome for outcome, _ in sends] == ["queued"] * (PROCESSES * SENDERS)
    depth = arena.depth()
    assert depth.ready + depth.delayed == 1
    with arena.worker(app=APP):
        arena.wait_ledger(lambda ledger: ledger.ends, "the run")
        arena.wait_empty()
    assert sum(map(len, arena.ledger().starts.values())) == 1


@on_sqlite
def test_a_place_is_kept_over_a_retry_and_a_killed_worker(arena: Arena[Any]) -> None:
    assert outcome_of(arena, "stubborn", "job") == "queued"
    with arena.worker("--processes", "2", app=APP):
        arena.wait_start("job-1")
        assert outcome_of(arena, "stubborn", "job") == "duplicate"
        victim = arena.wait_start("job-2")
        os.kill(victim, signal.SIGKILL)
        assert outcome_of(arena, "stubborn", "job") == "duplicate"
        arena.wait_start("job-2", count=2)
        assert outcome_of(arena, "stubborn", "job") == "duplicate"
        (arena.path / "let-go").touch()
        arena.wait_ends(["job"])
        wait_until(lambda: outcome_of(arena, "stubborn", "job") == "queued", "a free place")
    assert len(arena.ledger().starts["job-1"]) in (1, 2)  # 2 if the last send has started too


@on_sqlite
def test_a_claim_whose_sender_was_killed_blocks_no_longer_than_its_ttl(arena: Arena[Any]) -> None:
    with arena.script("import anyio, crash_unique; anyio.run(crash_unique.die_before_the_kick)") as process:
        assert process.wait() == -signal.SIGKILL
    assert arena.depth().ready == 0
    assert outcome_of(arena, "short_claim", "lost") == "duplicate"
    wait_until(lambda: outcome_of(arena, "short_claim", "lost") == "queued", "the end of the claim", pause=0.2)
    with arena.worker(app=APP):
        ledger = arena.wait_ends(["lost"])
        arena.wait_empty()
    assert len(ledger.starts["lost"]) == 1
