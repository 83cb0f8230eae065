"""Tasks that take batches, with what else a task or a worker may ask for."""

import anyio
import pytest

from taskiq_core import (
    AcknowledgeType,
    Batch,
    Concurrency,
    InMemoryBroker,
    InMemoryResultBackend,
    Rate,
    Worker,
    call,
    gather,
)
from taskiq_core.worker.meeting import Member
from taskiq_core.worker.slot import Slot

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("ack_type", list(AcknowledgeType))
async def test_when_messages_are_acknowledged_does_not_matter(ack_type: AcknowledgeType) -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True

    @broker.task(batch=Batch(5, within=60))
    async def act(numbers: list[int]) -> list[int]:
        return numbers

    async with broker:
        handles = await act.kiq_many([call(n) for n in range(5)])
        async with anyio.create_task_group() as group:
            worker = Worker(broker, ack_type=ack_type)
            group.start_soon(worker.serve)
            assert [await handle for handle in handles] == list(range(5))
            worker.stop()
        assert not broker.queue.busy


async def test_messages_are_admitted_before_they_join() -> None:
    broker, sizes = InMemoryBroker(), list[int]()

    @broker.task(batch=Batch(10, within=0.05), limits=[Concurrency(2)])
    async def act(numbers: list[int]) -> list[int]:
        sizes.append(len(numbers))
        return numbers

    async with broker:
        handles = await act.kiq_many([call(n) for n in range(6)])
        results = await gather(*handles, timeout=20)
    assert [result.return_value for result in results] == list(range(6))
    assert max(sizes) == 2


async def test_a_limit_may_have_a_key_of_the_element() -> None:
    broker = InMemoryBroker()

    @broker.task(batch=Batch(4, within=0.05), limits=[Rate(1, per=0.2, key="{words}")])
    async def act(words: list[str]) -> list[str]:
        return words

    async with broker:
        handles = await act.kiq_many([call(word) for word in ("a", "b", "a", "c")])
        assert [await handle for handle in handles] == ["a", "b", "a", "c"]


async def test_a_worker_that_may_run_so_many_tasks_waits_for_no_more() -> None:
    broker = InMemoryBroker(InMemoryResultBackend())
    broker.is_worker_process = True
    sizes = list[int]()

    @broker.task(batch=Batch(4, within=60))
    async def act(numbers: list[int]) -> None:
        sizes.append(len(numbers))

    async with broker:
        await act.kiq_many([call(n) for n in range(9)])
        worker = Worker(broker, max_tasks=6)
        with anyio.fail_after(10):
            await worker.serve()
        assert worker.stopped_because == "max_tasks"
        assert sorted(sizes) == [2, 4]  # in two slots: which is the first is not said
        assert broker.queue.depth("default").ready == 3


async def test_a_worker_that_ends_with_its_queue_runs_what_it_has_gathered() -> None:
    broker = InMemoryBroker()
    broker.is_worker_process = True
    sizes = list[int]()

    @broker.task(batch=Batch(4, within=60))
    def act(numbers: list[int]) -> None:
        sizes.append(len(numbers))

    async with broker:
        await act.kiq_many([call(n) for n in range(6)])
        with anyio.fail_after(10):
            await Worker(broker, burst=True).serve()
    assert sizes == [4, 2]


async def test_a_message_is_cancelled_when_its_batch_is_taken_and_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, begin, seen = InMemoryBroker(), Slot.begin, list[int]()

    @broker.task(batch=Batch(3, within=60))
    async def act(numbers: list[int]) -> list[int]:
        seen.extend(numbers)
        return numbers

    def cancel_first(slot: Slot, task_id: str) -> None:
        begin(slot, task_id)
        for member in broker._worker._receiver._slots:  # type: ignore[union-attr]
            if isinstance(member, Member) and member.loaded.args == [1]:
                member.cancel("not needed")

    monkeypatch.setattr(Slot, "begin", cancel_first)
    async with broker:
        handles = await act.kiq_many([call(n) for n in (1, 2, 3)])
        first, *others = await gather(*handles, timeout=10)
        assert "not needed" in str(first.error)
        assert [result.return_value for result in others] == [2, 3]
        later = await gather(*await act.kiq_many([call(n) for n in (4, 5, 6)]), timeout=10)
        assert [result.return_value for result in later] == [4, 5, 6]
    assert seen == [2, 3, 4, 5, 6]
