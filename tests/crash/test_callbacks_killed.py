"""SIGKILL of a worker between a callback and the end of its task: the callback is there, once."""

import anyio
import pytest
from arena import Arena, wait_until

pytestmark = pytest.mark.crash

KEYS = [f"k{number}" for number in range(60)]
APP = "crash_callbacks:broker"
POINTS = [(store, point) for store in ("sqlite", "redis") for point in ("before_settle:3", "after_settle:3")]
POINTS += [("sqlite", "post_execute:20")]  # where no store has heard of anything yet


def waiting_callbacks(arena: Arena) -> int:
    async def ask() -> int:
        async with arena.client() as broker:
            assert broker.admin is not None
            return (await broker.admin.depth("callbacks")).ready

    return anyio.run(ask)


@pytest.mark.parametrize(("arena", "point"), POINTS, indirect=["arena"])
def test_each_task_has_one_callback_whatever_is_killed(arena: Arena, point: str) -> None:
    arena.extra["CRASH_AT"] = point
    ids = arena.send("telling", *((key,) for key in KEYS))
    with arena.worker("--processes", "2", "--concurrency", "4", "--queue", "default", app=APP):
        arena.wait_ends(KEYS)
        arena.results(ids)
        wait_until(lambda: arena.depth().leased == 0, "nothing in hand")
        assert waiting_callbacks(arena) == len(KEYS)
    assert arena.killed is not None
    expected = [
        f"{task_id}:failed ValueError: {key}" if key.endswith("0") else f"{task_id}:succeeded {key}"
        for task_id, key in zip(ids, KEYS, strict=True)
    ]
    with arena.worker("--queue", "callbacks", app=APP):
        ledger = arena.wait_ends(expected)
        arena.wait_empty()
    assert [name for name in ledger.doubled() if ":" in name] == []
