"""Unique tasks: one at a time for each key, and what becomes of the others."""

import anyio
import pytest

from taskiq_core import (
    Context,
    DuplicateTaskError,
    InMemoryBroker,
    InMemoryResultBackend,
    Retry,
    SendTaskError,
    TaskiqDepends,
    TaskiqMessage,
    TaskiqMiddleware,
    Unique,
    Worker,
    call,
)
from taskiq_core.exceptions import ArgumentError, TaskCancelledError

pytestmark = pytest.mark.anyio

DEADLINE = 10


class Gate:
    """A task that notes its arguments and waits until it is let go."""

    def __init__(self) -> None:
        self.ran: list[int] = []
        self.open = anyio.Event()
        self.started = anyio.Event()

    async def run(self, user: int, text: str = "") -> str:
        self.ran.append(user)
        self.started.set()
        await self.open.wait()
        return text


async def places(broker: InMemoryBroker) -> dict[str, str]:
    """Who has the place of the task "job"."""
    assert broker.coordinator is not None
    return await broker.coordinator.holders(["unique:job:"])


async def test_a_second_send_gets_the_handle_of_the_first_until_that_has_finished() -> None:
    broker, gate = InMemoryBroker(), Gate()
    task = broker.register_task(gate.run, "job", unique=Unique(key="{user}"))
    async with broker:
        first, second, other = await task.kiq(1, "first"), await task.kiq(1, text="second"), await task.kiq(2, "other")
        await gate.started.wait()
        third = await task.kiq(user=1)
        assert [first.outcome, second.outcome, other.outcome, third.outcome] == ["queued", "duplicate", "queued", "duplicate"]
        assert second.task_id == third.task_id == first.task_id != other.task_id
        gate.open.set()
        assert [await first, await second, await other] == ["first", "first", "other"]
        again = await task.kiq(1, "again")
        assert (again.outcome, await again) == ("queued", "again")
    assert sorted(gate.ran) == [1, 1, 2]


async def test_until_started_lets_one_wait_while_one_runs() -> None:
    broker, gate = InMemoryBroker(), Gate()
    task = broker.register_task(gate.run, "job", unique=Unique(until="started"))
    async with broker:
        first = await task.kiq(1)
        await gate.started.wait()
        second = await task.kiq(2)
        assert second.outcome == "queued"
        gate.open.set()
        await first
        await second


async def test_retries_keep_the_place_and_the_last_failure_gives_it_up() -> None:
    broker = InMemoryBroker()
    outcomes: list[str] = []

    @broker.task("job", unique=True, retry=Retry(2))
    async def job(ctx: Context = TaskiqDepends()) -> None:
        outcomes.append((await job.kiq()).outcome)
        raise ValueError(ctx.attempt)

    async with broker:
        result = await (await job.kiq()).wait_result(timeout=DEADLINE)
        assert isinstance(result.error, ValueError)
        assert outcomes == ["duplicate"] * 3
        assert not await places(broker)


@pytest.mark.parametrize("how", ["reject", "expire", "cancel"])
async def test_every_end_gives_the_place_up(how: str) -> None:
    broker = InMemoryBroker()
    assert broker.admin is not None
    await broker.admin.pause("default")

    @broker.task("job", unique=True)
    async def job(ctx: Context = TaskiqDepends()) -> None:
        ctx.reject("no")

    async with broker:
        first = await job.kicker().with_expires(0 if how == "expire" else 60).kiq()
        assert (await job.kiq()).outcome == "duplicate"
        if how == "cancel":
            await broker.tasks.cancel(first.task_id)
        else:
            await broker.admin.resume("default")
            await first.wait_result(timeout=DEADLINE)
        assert (await job.kiq()).outcome == "queued"


async def test_on_conflict_raise_names_the_first() -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=Unique(key="{n}", on_conflict="raise"))
    async def job(n: int) -> None:
        return None

    first = await job.kiq(1)
    with pytest.raises(DuplicateTaskError, match=f"Task 'job' was not sent: {first.task_id} is in its place") as caught:
        await job.kiq(1)
    assert caught.value.task_id == first.task_id
    with pytest.raises(DuplicateTaskError):
        await job.kiq_many([call(2), call(1)])
    assert (await job.kiq(2)).outcome == "queued"  # the batch has left nothing behind


async def test_on_conflict_replace_takes_out_what_waits_and_tells_its_waiters() -> None:
    broker, gate = InMemoryBroker(), Gate()
    broker.with_records(backend) if isinstance(backend := broker.result_backend, InMemoryResultBackend) else None
    task = broker.register_task(gate.run, "job", unique=Unique(on_conflict="replace"))
    assert broker.admin is not None
    await broker.admin.pause("default")
    async with broker:
        first, second = await task.kiq(1), await task.kiq(2, "second")
        result = await first.wait_result(timeout=DEADLINE)
        assert isinstance(result.error, TaskCancelledError)
        assert result.error.reason == f"replaced by {second.task_id}"
        await broker.admin.resume("default")
        await gate.started.wait()
        third = await task.kiq(3)  # what runs is not replaced
        assert (third.outcome, third.task_id) == ("duplicate", second.task_id)
        gate.open.set()
        assert await third == "second"
    assert gate.ran == [2]


async def test_a_replacement_that_fails_half_way_leaves_the_place_free(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=Unique(on_conflict="replace"))
    async def job() -> None:
        return None

    await job.kiq()

    async def failing(results: object) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patched, pytest.raises(SendTaskError) as caught:
        patched.setattr(broker.result_backend, "set_results", failing)
        await job.kiq()
    assert caught.value.outcome == "refused"
    assert (await job.kiq()).outcome == "queued"


async def test_one_of_many_senders_wins() -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=True)
    async def job() -> None:
        return None

    handles = []

    async def send() -> None:
        handles.append(await job.kiq())

    async with anyio.create_task_group() as senders:
        for _ in range(50):
            senders.start_soon(send)
    assert sorted(handle.outcome for handle in handles) == ["duplicate"] * 49 + ["queued"]
    assert len({handle.task_id for handle in handles}) == 1


async def test_a_batch_is_told_one_by_one() -> None:
    broker = InMemoryBroker()

    async def job(n: int) -> None:
        return None

    for policy in ("skip", "replace"):
        task = broker.register_task(job, policy, unique=Unique(key="{n}", on_conflict=policy))
        handles = await task.kiq_many([call(1), call(2), call(1), call(3)])
        outcomes = [handle.outcome for handle in handles]
        assert sorted(outcomes) == ["duplicate", "queued", "queued", "queued"]
        assert outcomes[2 if policy == "skip" else 0] == "duplicate"
        assert handles[0].task_id == handles[2].task_id
        assert await task.kiq_many([]) == []


async def test_a_refused_send_gives_the_place_back_and_one_of_unknown_outcome_keeps_it() -> None:
    broker = InMemoryBroker()
    kick, answers = broker.kick, [SendTaskError(reason="no", outcome="refused"), SendTaskError(reason="?", outcome="unknown")]

    async def failing(message):
        if answers:
            raise answers.pop(0)
        await kick(message)

    broker.kick = failing  # type: ignore[method-assign]

    @broker.task("job", unique=True)
    async def job() -> None:
        return None

    for _ in range(2):
        with pytest.raises(SendTaskError):
            await job.kicker().with_task_id("mine").kiq()
    assert (await job.kiq()).task_id == "mine"
    repeated = await job.kicker().with_task_id("mine").kiq()
    assert (repeated.outcome, repeated.task_id) == ("queued", "mine")
    answers.append(SendTaskError(reason="no", outcome="refused"))
    with pytest.raises(SendTaskError):
        await job.kicker().with_task_id("mine").kiq()
    assert (await job.kiq()).outcome == "duplicate"  # what the first send has is not given up by a repeat


async def test_a_hook_that_raises_leaves_nothing_behind() -> None:
    class Refusing(TaskiqMiddleware):
        def pre_send(self, message: TaskiqMessage) -> TaskiqMessage:
            raise PermissionError

    broker = InMemoryBroker()
    broker.add_middlewares(Refusing())

    @broker.task("job", unique=True)
    async def job(n: int) -> None:
        return None

    with pytest.raises(PermissionError):
        await job.kiq(1)
    assert broker.coordinator is not None
    assert await broker.coordinator.holders(["unique:job:"]) == {}


async def test_keys_are_made_of_what_the_task_will_get() -> None:
    broker = InMemoryBroker()

    @broker.task("job", unique=Unique(key=lambda n, text: f"{n + 1}{text}"))
    async def job(n: int, text: str = "x") -> None:
        return None

    assert [(await job.kicker().kiq(*args)).outcome for args in ((1,), ("1",), (1, "y"))] == ["queued", "duplicate", "queued"]
    with pytest.raises(ArgumentError):
        await job.kicker().kiq("one")
    await job.kiq(1, "y" * 10_000)
    assert (await job.kiq(1, "y" * 10_000)).outcome == "duplicate"


async def test_callbacks_obey_too() -> None:
    broker, told = InMemoryBroker(), list[str]()

    @broker.task(unique=Unique(key="{result}"))
    async def tell(task_id: str, result: str) -> None:
        told.append(result)

    @broker.task(on_success=tell)
    async def job(text: str) -> str:
        return text

    assert broker.admin is not None
    await job.kiq_many([call("a"), call("a"), call("b")])
    with anyio.move_on_after(DEADLINE):
        await Worker(broker, burst=True, max_tasks=3).serve()
    assert (await broker.admin.depth("default")).ready == 2
    await Worker(broker, burst=True).serve()
    assert sorted(told) == ["a", "b"]


async def test_places_are_given_up_before_a_worker_leaves() -> None:
    broker = InMemoryBroker(InMemoryResultBackend())

    @broker.task("job", unique=True)
    async def job() -> None:
        return None

    await job.kiq()
    await Worker(broker, burst=True).serve()
    assert (await job.kiq()).outcome == "queued"
