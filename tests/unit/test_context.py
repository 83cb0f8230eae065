"""What a task can do about its own message."""

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest

from taskiq_core.capability import Capability
from taskiq_core.context import Context, context_values
from taskiq_core.exceptions import NoResultError, TaskRejectedError, TaskRequeuedError
from taskiq_core.message import TaskiqMessage
from taskiq_core.retry import Retry, next_retry
from taskiq_core.state import TaskiqState

pytestmark = pytest.mark.anyio


class Base:
    capabilities = Capability.ACK
    result_backend = None
    coordinator = admin = records = routes = None

    def __init__(self) -> None:
        self.state = TaskiqState()

    def id_generator(self) -> str:
        return "id"

    async def send(self, messages: Sequence[TaskiqMessage]) -> None:
        raise AssertionError


class Broker(Base):
    pass


def make(ack=None, **labels) -> Context:
    return Context(TaskiqMessage("id-1", "task", labels=labels), Broker(), ack)


async def test_it_knows_its_message():
    ctx = make()
    ctx.broker.state.pool = "pool"
    assert (ctx.task_id, ctx.message.task_name, ctx.state.pool, ctx.attempt) == ("id-1", "task", "pool", 1)
    assert make(_retries=2).attempt == 3
    assert make(_retries="2").attempt == 3
    assert make(**{"X-Taskiq-requeue": 4}).attempt == 1


async def test_ack_happens_once():
    calls: list[str] = []

    async def slowly() -> None:
        calls.append("start")
        await anyio.lowlevel.checkpoint()
        calls.append("end")

    ctx = make(slowly)
    assert ctx.is_ackable
    assert not ctx.is_acked
    async with anyio.create_task_group() as group:
        group.start_soon(ctx.ack)
        group.start_soon(ctx.ack)
    await ctx.ack()
    assert calls == ["start", "end"]
    assert ctx.is_acked


async def test_ack_may_be_a_plain_function():
    calls: list[int] = []
    ctx = make(lambda: calls.append(1))
    await ctx.ack()
    assert calls == [1]


async def test_a_failed_ack_may_be_repeated():
    failures = [ConnectionError("down")]

    def ack() -> None:
        if failures:
            raise failures.pop()

    ctx = make(ack)
    with pytest.raises(ConnectionError):
        await ctx.ack()
    assert not ctx.is_acked
    await ctx.ack()
    assert ctx.is_acked


async def test_what_cannot_be_acked_says_so():
    ctx = make()
    assert not ctx.is_ackable
    with pytest.raises(RuntimeError, match=r"^Current message is not ackable\.$"):
        await ctx.ack()


async def test_requeue_ends_the_run_without_result_and_without_a_retry():
    with pytest.raises(TaskRequeuedError) as caught:
        await make().requeue(timedelta(minutes=1))
    assert caught.value.delay == 60.0
    assert isinstance(caught.value, NoResultError)
    assert next_retry(Retry(3), caught.value, 0) is None
    with pytest.raises(TaskRequeuedError) as caught:
        await make().requeue()
    assert caught.value.delay == 0.0
    with pytest.raises(ValueError, match="0 or more"):
        await make().requeue(-1)


async def test_reject_ends_the_run_for_good():
    with pytest.raises(TaskRejectedError, match="no such order"):
        make().reject("no such order")
    assert next_retry(Retry(3), TaskRejectedError(reason="x"), 0) is None


async def test_values_are_found_by_type():
    ctx = make()
    values = context_values(ctx, {int: 5})
    assert values[Context] is ctx
    assert values[TaskiqState] is ctx.state
    assert values[Broker] is values[Base] is ctx.broker
    assert values[int] == 5
    assert object not in values
