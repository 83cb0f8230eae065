"""Group commit: one flush at a time, batches by back-pressure, nothing lost or disturbed by who goes away."""

import asyncio

import anyio
import pytest
from support.gated_flush import Link, parked

from taskiq_core.exceptions import BrokerError
from taskiq_core.group_commit import GroupCommit

pytestmark = pytest.mark.anyio


async def test_a_lone_call_is_flushed_at_once_and_alone() -> None:
    link = Link()
    group = GroupCommit(link.flush)
    await group.submit(1)
    await group.submit(2)
    assert link.flushed == [[1], [2]]


async def test_what_gathers_behind_a_flush_goes_out_together_and_in_order() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for item in range(1, 51):
            tg.start_soon(group.submit, item)
            await parked(group, item)
        link.gate.set()
    assert link.flushed == [[0], list(range(1, 51))]


async def test_batches_are_bounded() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush, max_batch=4)
    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for item in range(1, 11):
            tg.start_soon(group.submit, item)
        await parked(group, 10)
        link.gate.set()
    assert [len(batch) for batch in link.flushed] == [1, 4, 4, 2]
    assert sorted(item for batch in link.flushed for item in batch) == list(range(11))


async def test_an_error_reaches_every_caller_of_its_flush_and_nobody_else() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    seen: list[tuple[int, str]] = []

    async def caller(item: int) -> None:
        try:
            await group.submit(item)
        except ConnectionError as error:
            seen.append((item, str(error)))

    async with anyio.create_task_group() as tg:
        tg.start_soon(caller, 0)
        await link.entered.wait()
        for item in (1, 2, 3):
            tg.start_soon(caller, item)
        await parked(group, 3)
        gate = link.gate
        link.close()
        gate.set()
        await link.entered.wait()
        link.error = ConnectionError("the link is down")
        link.gate.set()
    assert sorted(seen) == [(1, "the link is down"), (2, "the link is down"), (3, "the link is down")]
    assert link.flushed == [[0]]
    link.error = None
    await group.submit(4)
    assert link.flushed == [[0], [4]]


async def test_a_caller_cancelled_in_line_is_taken_out() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    scopes = {item: anyio.CancelScope() for item in (1, 2, 3)}

    async def caller(item: int) -> None:
        with scopes[item]:
            await group.submit(item)

    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for item in scopes:
            tg.start_soon(caller, item)
        await parked(group, 3)
        scopes[1].cancel()
        scopes[3].cancel()
        await anyio.lowlevel.checkpoint()
        link.gate.set()
    assert link.flushed == [[0], [2]]


async def test_a_leader_cancelled_as_it_is_appointed_hands_the_lead_on() -> None:
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    first, second = anyio.CancelScope(), anyio.CancelScope()

    async def caller(item: int, scope: anyio.CancelScope) -> None:
        with scope:
            await group.submit(item)

    async with anyio.create_task_group() as tg:
        tg.start_soon(caller, 0, first)
        await link.entered.wait()
        tg.start_soon(caller, 1, second)
        await parked(group, 1)
        tg.start_soon(group.submit, 2)
        await parked(group, 2)
        link.gate.set()
        first.cancel()
        second.cancel()
    assert link.flushed[-1][-1] == 2
    assert all(1 not in batch for batch in link.flushed)
    await group.submit(3)
    assert link.flushed[-1] == [3]


@pytest.mark.parametrize("victim", [1, 2])
async def test_a_caller_cancelled_in_flight_does_not_disturb_the_others(victim: int) -> None:
    """1 leads the batch, 2 follows: neither takes the other or 3 down."""
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    scopes = {item: anyio.CancelScope() for item in (1, 2, 3)}
    returned: list[int] = []

    async def caller(item: int) -> None:
        with scopes[item]:
            await group.submit(item)
            returned.append(item)

    async with anyio.create_task_group() as tg:
        tg.start_soon(group.submit, 0)
        await link.entered.wait()
        for item in scopes:
            tg.start_soon(caller, item)
            await parked(group, item)
        gate = link.gate
        link.close()
        gate.set()
        await link.entered.wait()
        scopes[victim].cancel()
        await anyio.lowlevel.checkpoint()
        link.gate.set()
    assert link.flushed == [[0], [1, 2, 3]]
    assert {1, 2, 3} - {victim} <= set(returned)


async def test_a_bare_task_cancel_of_the_leader_leaves_nobody_waiting(anyio_backend_name: str) -> None:
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio can cancel a task through a shield")
    link = Link()
    link.close()
    group = GroupCommit(link.flush)
    first = asyncio.create_task(group.submit(0))
    await link.entered.wait()
    leader = asyncio.create_task(group.submit(1))
    await parked(group, 1)
    follower = asyncio.create_task(group.submit(2))
    await parked(group, 2)
    gate = link.gate
    link.close()
    gate.set()
    await link.entered.wait()
    leader.cancel()
    with pytest.raises(BrokerError, match="unknown"):
        await follower
    with pytest.raises(asyncio.CancelledError):
        await leader
    await first
    link.gate.set()
    await group.submit(3)
    assert link.flushed == [[0], [3]]


async def test_nothing_is_lost_or_doubled_under_random_cancellation() -> None:
    flushed: list[int] = []

    async def flush(items: list[int]) -> None:
        await anyio.lowlevel.checkpoint()
        flushed.extend(items)

    group = GroupCommit(flush, max_batch=7)
    accepted: list[int] = []

    async def caller(item: int) -> None:
        with anyio.CancelScope() as scope:
            if item % 3 == 0:
                scope.cancel()
            for _ in range(item % 5):
                await anyio.lowlevel.checkpoint()
            await group.submit(item)
            accepted.append(item)

    async with anyio.create_task_group() as tg:
        for item in range(500):
            tg.start_soon(caller, item)
    assert len(flushed) == len(set(flushed))
    assert set(accepted) <= set(flushed)
    assert {item for item in range(500) if item % 3} <= set(accepted)
