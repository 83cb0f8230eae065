"""What a type checker makes of tasks that take batches; the same lines run as a test."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import assert_type

import pytest

from taskiq_core import (
    ArgumentError,
    AsyncTaskiqDecoratedTask,
    AsyncTaskiqTask,
    Batch,
    InMemoryBroker,
    TaskiqDepends,
    TaskiqState,
    TaskRouter,
)

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()
router = TaskRouter()


@broker.task(batch=Batch(2, within=0.05))
async def index(docs: list[str]) -> None: ...


@broker.task("measure", batch=2, queue="work", team="search")
async def measure(docs: list[str], state: TaskiqState = TaskiqDepends()) -> list[int]:
    return [len(doc) for doc in docs]


@router.task(batch=2)
def halve(numbers: list[int]) -> list[float]:
    return [number / 2 for number in numbers]


@broker.task(batch=1)
async def refuse(docs: list[str]) -> None:
    raise AssertionError


async def test_types() -> None:
    assert_type(index, AsyncTaskiqDecoratedTask[[str], None])
    assert_type(measure, AsyncTaskiqDecoratedTask[[str], int])
    assert_type(halve, AsyncTaskiqDecoratedTask[[int], float])
    async with broker:
        handle = assert_type(await measure.kiq("doc"), AsyncTaskiqTask[int])
        assert await handle == 3
        assert assert_type(await (await index.kiq("doc")), None) is None
        with pytest.raises(ArgumentError):
            await (await refuse.kiq(1))  # type: ignore[arg-type]
