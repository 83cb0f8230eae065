"""Group commit: the time of each caller, the size of batches, and items that are wrong."""

import anyio
import pytest
from support.gated_flush import Link, parked

from taskiq_core.group_commit import GroupCommit, NotFlushedError

pytestmark = pytest.mark.anyio


async def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="max_batch"):
        GroupCommit(Link().flush, max_batch=0)


async def test_waiting_behind_a_slow_flush_has_an_end() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        with pytest.raises(NotFlushedError):
            await group.submit(1, 0.05)
        link.gate.set()
    assert link.flushed == [[0]]


async def test_a_flush_of_several_has_an_end() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    outcomes: list[type[BaseException]] = []

    async def caller(item: int) -> None:
        try:
            await group.submit(item, 0.05)
        except TimeoutError as error:
            outcomes.append(type(error))

    async with anyio.create_task_group() as tg:
        tg.start_soon(caller, 0)
        await link.entered.wait()
        for item in (1, 2):
            tg.start_soon(caller, item)
        await parked(group, 2)
        gate = link.gate
        link.close()
        gate.set()
    assert outcomes == [TimeoutError, TimeoutError]
    link.gate.set()
    await group.submit(3)
    assert link.flushed == [[0], [3]]


async def test_each_has_its_own_time() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        tg.start_soon(group.submit, 1, 60)
        await parked(group, 1)
        with pytest.raises(NotFlushedError, match=r"0\.05 s"):
            await group.submit(2, 0.05)
        link.gate.set()
    assert link.flushed == [[0], [1]]


async def test_one_wrong_item_fails_alone() -> None:
    link = Link()
    link.close()

    async def flush(items: list[int]) -> None:
        await link.flush(items)
        if set(items) & {3, 8}:
            link.flushed.pop()
            raise ValueError(len(items))

    group = GroupCommit(flush, splits=ValueError)
    outcomes: dict[int, str] = {}

    async def caller(item: int) -> None:
        try:
            await group.submit(item)
        except ValueError as error:
            outcomes[item] = str(error)
        else:
            outcomes[item] = "in"

    async with anyio.create_task_group() as tg:
        tg.start_soon(caller, 0)
        await link.entered.wait()
        for item in range(1, 11):
            tg.start_soon(caller, item)
            await parked(group, item)
        link.gate.set()
    assert outcomes == {item: "1" if item in (3, 8) else "in" for item in range(11)}
    assert sorted(item for batch in link.flushed for item in batch) == [0, 1, 2, 4, 5, 6, 7, 9, 10]
    assert not group._busy
