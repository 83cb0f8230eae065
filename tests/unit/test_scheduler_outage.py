"""What schedulers say in an outage: each kind of trouble once, and when it is over."""

import logging

import pytest
from support.fake_clock import FakeClock
from support.scheduler_fixtures import Running, broker, clock, every, running
from support.scheduling import KeepingBroker, MemorySource

from taskiq_core.exceptions import BrokerError
from taskiq_core.message import BrokerMessage
from taskiq_core.result_backends.inmemory import InMemoryResultBackend
from taskiq_core.schedule import ScheduledTask

__all__ = ["broker", "clock", "running"]
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _relief_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskiq.scheduler")


def said(caplog: pytest.LogCaptureFixture, *parts: str) -> list[tuple[str, str]]:
    """Level and part of each line that has one of these parts."""
    return [(record.levelname, part) for record in caplog.records for part in parts if part in record.getMessage()]


async def test_fires_that_fail_for_a_while_are_told_once(
    clock: FakeClock, broker: KeepingBroker, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    down = True

    async def refuse(_: BrokerMessage) -> None:
        if down:
            raise ConnectionError("no broker")

    broker.before_kick = refuse
    async with running(MemorySource(every(1), every(2), every(3))):
        await clock.advance(40)
        down = False
        await clock.advance(20)
    assert said(caplog, "could not be sent", "fire again") == [("WARNING", "could not be sent"), ("INFO", "fire again")]
    assert not any(record.exc_info for record in caplog.records)


async def test_a_schedule_that_never_fires_is_not_told_at_each_attempt_while_others_do(
    clock: FakeClock, broker: KeepingBroker, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(message: BrokerMessage) -> None:
        if message.task_name == "wrong":
            raise ValueError("never")

    broker.before_kick = refuse
    async with running(MemorySource(ScheduledTask(task_name="wrong", schedule_id="w", cron="1 * * * *"), every(1))):
        await clock.advance(200)
    lines = said(caplog, "trying again", "is given up", "fire again")
    assert lines == [("WARNING", "trying again"), ("ERROR", "is given up"), ("INFO", "fire again")]


async def test_a_coordinator_that_is_away_is_told_once_and_without_traceback(
    clock: FakeClock, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(InMemoryResultBackend):  # type: ignore[type-arg]
        down = False

        async def add(self, amounts, ttl):  # type: ignore[no-untyped-def]
            if self.down:
                raise BrokerError(reason="away")
            return await super().add(amounts, ttl)

    backend = Failing()
    async with running(MemorySource(every(5)), MemorySource(every(5)), MemorySource(), sender=KeepingBroker(backend)):
        await clock.advance(10)
        backend.down = True
        await clock.advance(50)
        backend.down = False
        await clock.advance(20)
    assert said(caplog, "cannot be asked", "answers again") == [("WARNING", "cannot be asked"), ("INFO", "answers again")]
    assert not any(record.exc_info for record in caplog.records)


async def test_a_source_that_cannot_be_read_or_watched_is_told_once(
    clock: FakeClock, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Source(MemorySource):
        async def wait_changed(self) -> None:
            if self.broken:
                raise KeyError("what its driver raises")
            await super().wait_changed()

    source = Source(every(5))
    async with running(source):
        source.broken = True
        await clock.advance(60)
        source.broken = False
        await clock.advance(60)
    parts = ("cannot be watched", "is watched again", "cannot be read", "is read again")
    assert sorted(said(caplog, *parts)) == [
        ("INFO", "is read again"),
        ("INFO", "is watched again"),
        ("WARNING", "cannot be read"),
        ("WARNING", "cannot be watched"),
    ]
    assert len([record for record in caplog.records if record.exc_info]) == 2
