"""Fixtures for tests that run schedulers in time of their own; import them where they are wanted."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest
from support.fake_clock import FakeClock
from support.scheduling import KeepingBroker

from taskiq_core import clock as core_clock
from taskiq_core.abc.schedule_source import ScheduleSource
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask
from taskiq_core.scheduler import TaskiqScheduler

START = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)

Running = Callable[..., AbstractAsyncContextManager[TaskiqScheduler]]


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    clock = FakeClock(START)
    with core_clock.replaced(core_clock.time, clock.monotonic):
        yield clock


@pytest.fixture
def broker() -> KeepingBroker:
    return KeepingBroker(InMemoryResultBackend())


@pytest.fixture
def running(clock: FakeClock, broker: KeepingBroker) -> Running:
    @asynccontextmanager
    async def run(*sources: ScheduleSource, sender: KeepingBroker | None = None) -> AsyncGenerator[TaskiqScheduler, None]:
        scheduler = TaskiqScheduler(sender or broker, sources, clock=clock)
        await scheduler.startup()
        async with anyio.create_task_group() as group:
            group.start_soon(scheduler.run)
            await clock.advance(0)
            yield scheduler
            group.cancel_scope.cancel()
        await scheduler.shutdown()

    return run


def every(seconds: float, **fields: object) -> ScheduledTask:
    return ScheduledTask(task_name="job", interval=seconds, **fields)  # type: ignore[arg-type]
