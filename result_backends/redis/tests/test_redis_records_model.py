"""Redis folds, lists and counts as the records in memory do, whatever comes in whatever order."""

import random
from typing import Any

import pytest

from taskiq_core.abc.records import RecordStore
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.stores import MemoryRecords
from taskiq_core_result_backends_redis import RedisResultBackend

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
IDS = [f"{letter}{number}" for letter in ("a", "b", "B", "é", "ключ ", "\U0001f600") for number in range(5)]
NAMES = ["", "x", "y", "x:y", "ф"]


def some_step(dice: random.Random) -> Transition:
    """Few values of each kind, so that many tie."""
    return Transition(
        dice.choice(IDS),
        dice.choice(list(TaskStatus)),
        NOW + dice.randrange(12) / 8,
        task_name=dice.choice(NAMES),
        queue=dice.choice([None, "q", "Q", "ñ"]),
        worker=dice.choice([None, "w1", "w2"]),
        attempt=dice.choice([None, 1, 2, 3]),
        error=dice.choice([None, "E: 1", "E: long" + 100 * "."]),
    )


async def listed(store: RecordStore, limit: int, **narrow: Any) -> list[TaskRecord]:
    """All pages."""
    records: list[TaskRecord] = []
    cursor = None
    while True:
        page = await store.list_records(limit=limit, cursor=cursor, **narrow)
        assert len(page.records) <= limit
        records += page.records
        cursor = page.next_cursor
        if cursor is None:
            return records


async def assert_same(store: RecordStore, model: RecordStore, dice: random.Random) -> None:
    assert await store.get_records(IDS) == await model.get_records(IDS)
    for since in (None, NOW, NOW + 0.5, NOW + 0.75, NOW + 9):
        assert await store.count_by_status(since=since) == await model.count_by_status(since=since)
        for status in (None, *TaskStatus):
            for name in (None, *NAMES, "nobody"):
                narrow: dict[str, Any] = {"task_name": name, "status": status, "since": since}
                limit = dice.choice([1, 2, 7, 100])
                assert await listed(store, limit, **narrow) == await listed(model, limit, **narrow), narrow


@pytest.mark.parametrize("seed", range(5))
async def test_random_histories_become_the_same_records(backend: RedisResultBackend, seed: int) -> None:
    dice = random.Random(seed)
    model = MemoryRecords()
    for _ in range(12):
        batch = [some_step(dice) for _ in range(dice.choice([1, 3, 30]))]
        await model.record(batch)
        await backend.record(batch)
    await assert_same(backend, model, dice)


async def test_a_batch_of_any_size_is_recorded(backend: RedisResultBackend) -> None:
    steps = [Transition(f"t{number}", TaskStatus.PENDING, NOW + number, "x") for number in range(1200)]
    await backend.record(steps)
    assert await backend.count_by_status() == {TaskStatus.PENDING: 1200}
    found = await listed(backend, 500)
    assert [record.task_id for record in found] == [step.task_id for step in reversed(steps)]
    assert len(await backend.get_records([step.task_id for step in steps])) == 1200
