"""Group commit: the time of each caller, the size of batches, and items that are wrong."""

import random

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


async def test_who_waited_in_vain_is_told_why() -> None:
    failed = anyio.Event()

    async def flush(items: list[int]) -> None:
        if items == [0]:
            await anyio.sleep(0)
            raise OSError("no route")
        failed.set()
        await anyio.sleep_forever()

    group = GroupCommit(flush)
    async with anyio.create_task_group() as tg:
        with pytest.raises(OSError, match="no route"):
            await group.submit(0)
        tg.start_soon(group.submit, 1)
        await failed.wait()
        with pytest.raises(NotFlushedError, match=r"not sent; the last of them failed: no route"):
            await group.submit(2, 0.05)
        tg.cancel_scope.cancel()


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


async def test_those_behind_a_caller_that_goes_away_keep_their_time() -> None:
    """1 is first in line and leaves; 2 takes over and is late; 3 has time enough."""
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    first = anyio.CancelScope()
    late: list[int] = []

    async def caller(item: int, timeout: float, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await group.submit(item, timeout)
            except NotFlushedError:
                late.append(item)
                link.gate.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for place, (item, timeout) in enumerate({1: 0.05, 2: 0.06, 3: 60.0}.items(), 1):
            tg.start_soon(caller, item, timeout, first if item == 1 else anyio.CancelScope())
            await parked(group, place)
        first.cancel()
    assert late == [2]
    assert link.flushed == [[0], [3]]


async def test_a_long_line_behind_a_stuck_flush_has_an_end() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush, max_batch=10)
    late: list[int] = []

    async def caller(item: int) -> None:
        with pytest.raises(NotFlushedError):
            await group.submit(item, 0.05)
        late.append(item)

    async with anyio.create_task_group() as stuck:
        stuck.start_soon(group.submit, 0)
        await link.entered.wait()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tg:
                for item in range(1, 101):
                    tg.start_soon(caller, item)
        link.gate.set()
    assert sorted(late) == list(range(1, 101))
    assert link.flushed == [[0]]
    assert not group._busy


async def test_what_a_batch_leaves_behind_keeps_its_time() -> None:
    """1 leads without 2 and 3, and its flush does not even end when it is cancelled."""
    link, stuck = Link(), Link()
    link.close()
    stuck.close()

    async def flush(items: list[int]) -> None:
        with anyio.CancelScope(shield=True):
            await (stuck if items == [1] else link).flush(items)

    group = GroupCommit(flush, max_batch=1)
    late: list[int] = []

    async def caller(item: int, timeout: float) -> None:
        try:
            await group.submit(item, timeout)
        except NotFlushedError:
            late.append(item)
            stuck.gate.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for item, timeout in {1: 0.5, 2: 0.5, 3: 60.0}.items():
            tg.start_soon(caller, item, timeout)
            await parked(group, item)
        link.gate.set()
    assert late == [2]
    assert (link.flushed, stuck.flushed) == ([[0], [3]], [[1]])


async def test_who_is_to_watch_and_is_taken_along_at_once_waits_for_its_flush() -> None:
    """1 is appointed to lead; 2, then first in line, goes away; 3 is to watch, but 1 takes it along."""
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    scope = anyio.CancelScope()
    returned: list[bool] = []

    async def caller(item: int) -> None:
        if item == 2:
            with scope:
                await group.submit(item)
        else:
            await group.submit(item)
            returned.append(any(item in batch for batch in link.flushed))

    async with anyio.create_task_group() as tg:
        tg.start_soon(caller, 0)
        await link.entered.wait()
        for item in (1, 2, 3):
            tg.start_soon(caller, item)
            await parked(group, item)
        link.gate.set()
        scope.cancel()
    assert returned == [True, True, True]


@pytest.mark.parametrize("seed", range(20))
async def test_everybody_gets_an_answer_in_any_mixture_of_times_and_departures(seed: int) -> None:
    dice = random.Random(seed)
    flushed: list[int] = []
    outcomes: dict[int, str] = {}

    async def flush(items: list[int]) -> None:
        if dice.random() < 0.2:
            await anyio.sleep_forever()
        await anyio.sleep(dice.choice([0, 0.001, 0.01]))
        flushed.extend(items)

    group = GroupCommit(flush, max_batch=5)

    async def caller(item: int) -> None:
        for _ in range(dice.randrange(20)):
            await anyio.lowlevel.checkpoint()
        outcomes[item] = "gone"
        with anyio.move_on_after(dice.choice([0.003, 0.02, 0.2])):
            try:
                await group.submit(item, dice.choice([0.002, 0.01, 0.05]))
            except NotFlushedError:
                outcomes[item] = "late"
            except TimeoutError:
                outcomes[item] = "unknown"
            else:
                outcomes[item] = "in"

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tg:
            for item in range(100):
                tg.start_soon(caller, item)
    assert len(flushed) == len(set(flushed))
    assert {item for item, outcome in outcomes.items() if outcome == "in"} <= set(flushed)
    assert not {item for item, outcome in outcomes.items() if outcome == "late"} & set(flushed)
    assert not group._busy
    assert not group._waiting


async def test_one_wrong_item_fails_alone() -> None:
    link = Link()
    link.close()

    async def flush(items: list[int]) -> None:
        await link.flush(items)
        if set(items) & {3, 8}:
            link.flushed.pop()
            raise ValueError(len(items))

    group = GroupCommit(flush, splits=(ValueError,))
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
