"""Unique tasks that are sent again: at once, after a cancel, after a send that did not come through."""

import pytest

from taskiq_core import InMemoryBroker, Unique

pytestmark = pytest.mark.anyio


async def test_a_task_that_may_run_again_from_its_start_can_send_itself() -> None:
    broker, outcomes = InMemoryBroker(), list[str]()

    @broker.task("job", unique=Unique(until="started"))
    async def job(left: int) -> int:
        if left:
            handle = await job.kiq(left - 1)
            outcomes.append(handle.outcome)
        return left

    async with broker:
        await (await job.kiq(5))
        await broker.wait_all()
    assert outcomes == ["queued"] * 5


async def test_whoever_has_the_result_can_send_again() -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=True)
    async def job(number: int) -> int:
        return number

    async with broker:
        for number in range(20):
            assert await (await job.kiq(number)) == number
