"""What a type checker makes of uniqueness and routes; the same lines run as a test."""

from datetime import timedelta
from typing import Literal, assert_type

import pytest

from taskiq_core import (
    AsyncTaskiqTask,
    Context,
    Debounce,
    InMemoryBroker,
    Route,
    TaskiqDepends,
    Throttle,
    Unique,
    call,
)

pytestmark = pytest.mark.anyio

broker = InMemoryBroker()
assert_type(
    broker.with_routes({"reports.*": {"queue": "io", "delay": timedelta(0)}, "*": Route(priority=3, delay=0.0)}), InMemoryBroker
)


@broker.task(unique=Unique(key="{number}", ttl=timedelta(minutes=1), on_conflict="skip"))
async def unique(number: int, ctx: Context = TaskiqDepends()) -> str:
    assert_type(ctx.last_error, str | None)
    return str(number)


def parity(number: int) -> int:
    return number % 2


@broker.task(debounce=Debounce(0.01, key=parity, max_wait=timedelta(seconds=1)))
async def debounced(number: int) -> int:
    return number


@broker.task(throttle=Throttle(timedelta(seconds=60)))
def throttled() -> None:
    return None


async def test_types() -> None:
    async with broker:
        handle = await unique.kiq(1)
        assert_type(handle, AsyncTaskiqTask[str])
        assert_type(handle.outcome, Literal["queued", "pending", "duplicate", "unknown"])
        assert_type(await handle, str)
        kicker = debounced.kicker().with_idempotency_key("key", ttl=timedelta(days=1))
        assert_type(await (await kicker.kiq(3)), int)
        handles = await throttled.kiq_many([call(), call()])
        assert_type(handles, list[AsyncTaskiqTask[None]])
        assert handles[1].outcome == "duplicate"
