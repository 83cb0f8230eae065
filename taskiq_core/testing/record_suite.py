"""The laws that every record store keeps."""

import itertools
from typing import Any

import anyio

from taskiq_core import clock
from taskiq_core.abc.records import RecordStore
from taskiq_core.ids import new_task_id
from taskiq_core.records import TaskRecord, TaskStatus, Transition
from taskiq_core.testing.suite import Suite, law

PENDING, SCHEDULED, RUNNING, RETRYING = TaskStatus.PENDING, TaskStatus.SCHEDULED, TaskStatus.RUNNING, TaskStatus.RETRYING
SUCCESS, FAILED = TaskStatus.SUCCESS, TaskStatus.FAILED

NOW = 1_800_000_000.0

HISTORIES: tuple[tuple[tuple[TaskStatus, ...], TaskStatus], ...] = (
    ((PENDING,), PENDING),
    ((SCHEDULED, PENDING, RUNNING), RUNNING),
    ((PENDING, RUNNING, SUCCESS), SUCCESS),
    ((RUNNING,), RUNNING),
    ((SUCCESS,), SUCCESS),
    ((PENDING, RUNNING, RETRYING), RETRYING),
    ((PENDING, RUNNING, RETRYING, RUNNING, FAILED), FAILED),
    ((PENDING, RUNNING, SUCCESS, RUNNING), SUCCESS),
    ((PENDING, RUNNING, FAILED, PENDING), PENDING),
    ((PENDING, FAILED, RETRYING, RUNNING), RUNNING),
    ((PENDING, FAILED, SCHEDULED, RUNNING, SUCCESS), SUCCESS),
)
"""What happened, one step a second, and where the task stands after it."""


class RecordStoreContract(Suite[RecordStore]):
    """Inherit, and override `fresh_store`."""

    @law()
    async def test_transitions_become_one_record(self, store: RecordStore) -> None:
        """A record tells name, queue, worker, attempts, error and the times of its transitions."""
        task_id = new_task_id()
        await store.record([step(task_id, PENDING, 0, task_name="a.task", queue="q")])
        assert await store.get_records([task_id, new_task_id()]) == {
            task_id: TaskRecord(task_id, "a.task", PENDING, queue="q", queued_at=NOW)
        }
        await store.record([step(task_id, RUNNING, 1, worker="w", attempt=1), step(task_id, RETRYING, 2, error="E: 1")])
        await store.record([step(task_id, RUNNING, 3, worker="v", attempt=2), step(task_id, FAILED, 4, error="E: 2")])
        assert (await store.get_records([task_id]))[task_id] == TaskRecord(
            task_id,
            "a.task",
            FAILED,
            queue="q",
            worker="v",
            attempts=2,
            error="E: 2",
            queued_at=NOW,
            started_at=NOW + 3,
            finished_at=NOW + 4,
        )
        assert await store.get_records([]) == {}

    @law()
    async def test_the_status_follows_the_history(self, store: RecordStore) -> None:
        """A final status stays until a newer PENDING, SCHEDULED or RETRYING."""
        ids = [new_task_id() for _ in HISTORIES]
        for task_id, (history, _) in zip(ids, HISTORIES, strict=True):
            await store.record(steps(task_id, history))
        found = await store.get_records(ids)
        for task_id, (history, expected) in zip(ids, HISTORIES, strict=True):
            record = found[task_id]
            assert record.status is expected, f"{history} gave {record.status}"
            assert (record.finished_at is not None) == expected.is_final

    @law()
    async def test_the_order_of_arrival_does_not_matter(self, store: RecordStore) -> None:
        """The same transitions, one by one in any order, or in one batch, make the same record."""
        for history, _ in HISTORIES:
            orders = list(itertools.permutations(range(len(history))))[:: 1 if len(history) < 5 else 7]
            ids = [new_task_id() for _ in orders]
            stepped = [[steps(task_id, history)[place] for place in order] for task_id, order in zip(ids, orders, strict=True)]
            for turn in range(len(history)):
                await store.record([order[turn] for order in stepped[:-1]])
            await store.record(stepped[-1])
            found = await store.get_records(ids)
            for task_id, order in zip(ids, orders, strict=True):
                assert facts(found[task_id]) == facts(found[ids[0]]), f"{[history[place] for place in order]} differs"

    @law()
    async def test_repeating_changes_nothing(self, store: RecordStore) -> None:
        """A batch that is recorded again, as after an error, changes nothing."""
        task_id = new_task_id()
        batch = steps(task_id, (PENDING, RUNNING, RETRYING, RUNNING, FAILED))
        await store.record([])
        await store.record(batch)
        first = await store.get_records([task_id])
        await store.record(batch)
        await store.record(batch[1:3])
        assert await store.get_records([task_id]) == first

    @law()
    async def test_concurrent_writers_lose_nothing(self, store: RecordStore) -> None:
        """Transitions of one task that many record at the same time all count."""
        task_id = new_task_id()
        async with anyio.create_task_group() as group:
            for number in range(1, 21):
                group.start_soon(store.record, [step(task_id, RUNNING, number, attempt=number, worker=f"w{number}")])
            group.start_soon(store.record, [step(task_id, FAILED, 21, error="E")])
            group.start_soon(store.record, [step(task_id, PENDING, 0, task_name="a.task")])
        record = (await store.get_records([task_id]))[task_id]
        expected = TaskRecord(task_id, "a.task", FAILED, None, "w20", 20, "E", NOW, NOW + 20, NOW + 21)
        assert record == expected

    @law()
    async def test_records_are_listed_newest_first(self, store: RecordStore) -> None:
        """The list starts with the task that was first seen last, whatever happened to it since, in pages without overlap."""
        ids = [new_task_id() for _ in range(10)]
        await store.record([step(task_id, PENDING, number // 2, task_name="a") for number, task_id in enumerate(ids)])
        await store.record([step(ids[0], RUNNING, 100, task_name="a")])
        listed: list[str] = []
        times: list[float | None] = []
        cursor = None
        for _ in range(5):
            page = await store.list_records(limit=3, cursor=cursor)
            assert len(page.records) <= 3
            listed += [record.task_id for record in page.records]
            times += [record.queued_at for record in page.records]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert cursor is None
        assert sorted(listed) == sorted(ids)
        assert times == [NOW + number // 2 for number in reversed(range(10))]

    @law()
    async def test_lists_and_counts_can_be_narrowed(self, store: RecordStore) -> None:
        """Name, status and time narrow a list; time narrows the counts."""
        a, b, c = (new_task_id() for _ in range(3))
        await store.record([step(a, PENDING, 0, task_name="x"), step(b, PENDING, 5, task_name="x")])
        await store.record([step(c, PENDING, 9, task_name="y"), step(b, RUNNING, 10, task_name="x")])
        assert await listed(store) == [c, b, a]
        assert await listed(store, task_name="x") == [b, a]
        assert await listed(store, status=PENDING) == [c, a]
        assert await listed(store, task_name="x", status=PENDING) == [a]
        assert await listed(store, since=NOW + 5) == [c, b]
        assert await listed(store, limit=1) == [c]
        assert await listed(store, task_name="nobody") == []
        assert await counted(store) == {PENDING: 2, RUNNING: 1}
        assert await counted(store, since=NOW + 6) == {PENDING: 1}

    @law()
    async def test_cleanup_deletes_what_ended_long_ago(self, store: RecordStore) -> None:
        """Only final records go, by the age of their end; the answer is how many."""
        old, fresh, running = (new_task_id() for _ in range(3))
        now = clock.time()
        await store.record([Transition(old, SUCCESS, now - 100), Transition(fresh, FAILED, now - 10)])
        await store.record([Transition(running, RUNNING, now - 1000)])
        assert await store.cleanup(older_than=50) == 1
        assert (await store.get_records([old, fresh, running])).keys() == {fresh, running}
        assert await store.cleanup(older_than=50) == 0


def step(task_id: str, status: TaskStatus, after: float, **known: Any) -> Transition:
    """A transition `after` seconds."""
    return Transition(task_id, status, NOW + after, **known)


def steps(task_id: str, history: tuple[TaskStatus, ...]) -> list[Transition]:
    """A history, one transition a second, each knowing something that the others do not."""
    errors = {RETRYING: "E: again", FAILED: "E: over"}
    return [
        step(
            task_id,
            status,
            number,
            task_name="a.task" if number == 0 else "",
            queue="q" if status is PENDING else None,
            worker=f"w{number}" if status is RUNNING else None,
            attempt=number if status is RUNNING else None,
            error=errors.get(status),
        )
        for number, status in enumerate(history)
    ]


def facts(record: TaskRecord) -> tuple[Any, ...]:
    """All of a record but its id."""
    return (
        *(record.task_name, record.status, record.queue, record.worker, record.attempts, record.error),
        *(record.queued_at, record.started_at, record.finished_at),
    )


async def listed(store: RecordStore, **narrow: Any) -> list[str]:
    """Ids of the first page."""
    return [record.task_id for record in (await store.list_records(**narrow)).records]


async def counted(store: RecordStore, since: float | None = None) -> dict[TaskStatus, int]:
    """The counts that are not zero."""
    return {status: count for status, count in (await store.count_by_status(since=since)).items() if count}
