"""The worker's room that gives up the places of unique tasks."""

from collections.abc import Sequence

import anyio
import pytest

from taskiq_core import TaskiqMessage
from taskiq_core.abc.coordinator import Claim
from taskiq_core.delivery import Delivery
from taskiq_core.stores.memory_coordinator import MemoryCoordinator
from taskiq_core.worker.claims import Claims
from taskiq_core.worker.outcome import Outcome
from taskiq_core.worker.verdicts import Ending, judge

pytestmark = pytest.mark.anyio

DEADLINE = 10


class Failing(MemoryCoordinator):
    """Releases nothing so many times; `batches` are the sizes of what it was asked."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.batches: list[int] = []

    async def release(self, claims: Sequence[tuple[str, str]]) -> None:
        self.batches.append(len(claims))
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        await super().release(claims)


def message(task_id: str, place: str) -> TaskiqMessage:
    return TaskiqMessage(task_id, "job", {"_unique": place})


async def left(coordinator: MemoryCoordinator, claims: Claims, *task_ids: str) -> set[str]:
    """Run the room to its end; which of the tasks' claims are there then."""
    claims.close()
    with anyio.fail_after(DEADLINE):
        await claims.run()
    assert claims.done.is_set()
    return set((await coordinator.holders(list(task_ids))).values())


async def held(*task_ids: str, failures: int = 0) -> Failing:
    coordinator = Failing(failures)
    await coordinator.claim([Claim(task_id, task_id, 60) for task_id in task_ids])
    return coordinator


@pytest.mark.parametrize("ending", Ending)
async def test_what_comes_again_keeps_its_place(ending: Ending) -> None:
    coordinator = await held("a")
    claims = Claims(coordinator)
    await claims.ending([Outcome(Delivery(b""), ending, message("a", "finished:a"))])
    comes_again = judge(ending).verdict.name in ("RELEASE", "RETRY")
    assert await left(coordinator, claims, "a") == ({"a"} if comes_again else set())


async def test_only_places_until_the_start_are_given_up_at_the_start() -> None:
    coordinator = await held("a", "b", "c")
    claims = Claims(coordinator)
    for task_id, place in (("a", "started:a"), ("b", "finished:b"), ("c", "whatever")):
        await claims.starting(message(task_id, place))
    await claims.starting(TaskiqMessage("d", "job"))
    assert await left(coordinator, claims, "a", "b", "c") == {"b", "c"}


async def test_a_manual_message_that_nobody_has_acknowledged_keeps_its_place() -> None:
    coordinator = await held("a", "b")
    claims = Claims(coordinator)
    for task_id, acked in (("a", False), ("b", True)):
        outcome = Outcome(Delivery(b""), Ending.RETURNED, message(task_id, f"finished:{task_id}"), manual=True, acked=acked)
        await claims.ending([outcome])
    assert await left(coordinator, claims, "a", "b") == {"a"}


async def test_a_place_that_is_another_ones_by_now_stays() -> None:
    coordinator = await held("a")
    claims = Claims(coordinator)
    await claims.starting(message("old", "started:a"))
    assert await left(coordinator, claims, "a") == {"a"}


async def test_what_cannot_be_released_is_tried_again_together_with_what_came_meanwhile() -> None:
    coordinator = await held("a", "b", failures=2)
    claims = Claims(coordinator)
    await claims.starting(message("a", "started:a"))
    async with anyio.create_task_group() as group:
        group.start_soon(claims.run)
        with anyio.fail_after(DEADLINE):
            while not coordinator.batches:
                await anyio.sleep(0.001)
            await claims.starting(message("b", "started:b"))
            while await coordinator.holders(["a", "b"]):
                await anyio.sleep(0.001)
        claims.close()
    assert coordinator.batches == [1, 2, 2]


async def test_a_worker_that_leaves_does_not_wait_for_a_coordinator_that_is_away() -> None:
    coordinator = await held("a", failures=100)
    claims = Claims(coordinator)
    await claims.starting(message("a", "started:a"))
    assert await left(coordinator, claims, "a") == {"a"}
    assert len(coordinator.batches) == 2  # at the start, and at the end


async def test_a_task_starts_though_the_coordinator_does_not_answer() -> None:
    class Silent(Failing):
        silent = True

        async def release(self, claims: Sequence[tuple[str, str]]) -> None:
            self.batches.append(len(claims))
            if self.silent:
                await anyio.sleep_forever()
            await MemoryCoordinator.release(self, claims)

    coordinator = Silent(0)
    await coordinator.claim([Claim("a", "a", 60), Claim("b", "b", 60)])
    claims = Claims(coordinator)
    with anyio.fail_after(DEADLINE):
        async with anyio.create_task_group() as group:
            for task_id in ("a", "b"):
                group.start_soon(claims.starting, message(task_id, f"started:{task_id}"))
        await claims.starting(message("c", "started:c"))  # asks no more
    assert coordinator.batches == [1]
    coordinator.silent = False
    assert await left(coordinator, claims, "a", "b") == set()
    assert coordinator.batches == [1, 3]
