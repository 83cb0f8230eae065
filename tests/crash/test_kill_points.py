"""SIGKILL of a worker between any two stations of a message's way: nothing is lost, little runs twice, everything ends.

Which stations there are is the worker's business, and the same everywhere: all of them are tried in a file, and on Redis with
results in another place. Any server is asked for what its broker can tell apart: the worker had only received, it had done the
work but not said so, it had said so.
"""

import pytest
from arena import Arena
from crash_support import SERVERS, on_every_store

pytestmark = pytest.mark.crash

JOINT = ["received:5", "pre_execute:5", "function:5", "post_execute:5", "before_settle:3", "after_settle:3", "post_save:5"]
APART = ["before_set_results:3", "after_set_results:3", "before_settle:3", "after_settle:3", "post_save:5"]
TELLING = ["received:5", "before_settle:3", "after_settle:3"]
KEYS = [f"k{number}" for number in range(60)]

CASES = [("sqlite", point, False) for point in JOINT]
CASES += [("redis", point, True) for point in APART]
CASES += [(store, point, False) for store in SERVERS for point in TELLING]


@pytest.mark.parametrize(("arena", "point", "apart"), CASES, indirect=["arena"])
def test_a_worker_killed_between_two_stations_loses_nothing(arena: Arena, point: str, apart: bool) -> None:
    if apart:
        arena.store.part()
    arena.extra["CRASH_AT"] = point
    ids = arena.send("quick", *((key,) for key in KEYS))
    with arena.worker("--processes", "2", "--concurrency", "4"):
        ledger = arena.wait_ends(KEYS)
        assert [result.return_value for result in arena.results(ids)] == KEYS
        arena.wait_empty()
    assert arena.killed is not None
    ledger = arena.ledger()
    ledger.hold(KEYS, killed=arena.killed)
    assert not arena.dead_letters()


@on_every_store
def test_what_the_sender_was_told_is_accepted_runs_though_the_sender_is_killed(arena: Arena) -> None:
    sender = """
import anyio, os, crash_app
async def main():
    async with crash_app.broker, anyio.create_task_group() as group:
        async def one(key):
            await crash_app.quick.kiq(key)
            os.write(1, f"accepted {key}\\n".encode())
        for n in range(2000):
            group.start_soon(one, f"k{n}")
            await anyio.sleep(0)
anyio.run(main)
"""
    with arena.worker():
        with arena.script(sender) as process:
            process.wait_for_line("^accepted", count=300)
            process.kill_group()
            accepted = [line.split()[1] for line in process.lines if line.startswith("accepted")]
        assert 300 <= len(accepted) < 2000
        arena.wait_ends(accepted)
        arena.wait_empty()
    arena.ledger().hold(accepted)
